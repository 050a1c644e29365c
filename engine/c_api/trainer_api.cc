// Training in C.
#include <cxxabi.h>

#include <memory>
#include <utility>

#include "engine/base/log.h"
#include "engine/c_api/handle_call.h"
#include "engine/c_api/pool_handle.h"
#include "engine/c_api/samples_handle.h"
#include "engine/c_api/session_handle.h"
#include "pocketune/train.h"

namespace pocketune::capi {
namespace {

// In an order in which each member outlives those that point to it.
struct TrainerHandle : HandleObject {
  static constexpr HandleKind kKind = HandleKind::kTrainer;
  const ptn_session* session_handle = nullptr;
  std::shared_ptr<Session> session;
  std::shared_ptr<Samples> samples;
  std::shared_ptr<Samples> validation;  // may be null
  std::unique_ptr<TrainStore> store;
  ptn_progress_fn progress = nullptr;
  void* user = nullptr;
  bool progress_failed = false;
  // A run that an exception ended: what it left half done is of no use.
  bool broken = false;
  std::unique_ptr<Trainer> trainer;

  void Tell(const ptn_progress& what) {
    if (progress == nullptr) return;
    try {
      if (progress(user, &what) != 0) trainer->Stop();
    } catch (const abi::__forced_unwind&) {
      throw;
    } catch (...) {
      progress_failed = true;
      trainer->Stop();
    }
  }
};

TrainListener ListenerOf(TrainerHandle* handle) {
  TrainListener listener;
  listener.on_step = [handle](const StepEvent& event) {
    ptn_progress p = {};
    p.struct_size = sizeof(p);
    p.step = event.step;
    p.total_steps = event.total_steps;
    p.epoch = event.epoch;
    p.loss = event.loss;
    handle->Tell(p);
  };
  listener.on_epoch = [handle](const EpochEvent& event) {
    ptn_progress p = {};
    p.struct_size = sizeof(p);
    p.epoch_ended = 1;
    p.step = event.step;
    p.total_steps = handle->trainer->total_steps();
    p.epoch = event.epoch;
    p.loss = event.train_loss;
    p.lr = event.lr;
    p.val_loss = event.val_loss;
    p.val_accuracy = event.val_accuracy;
    p.validated = event.validated ? 1 : 0;
    p.best = event.best ? 1 : 0;
    handle->Tell(p);
  };
  listener.on_note = [](const std::string& note) { Log(LogLevel::kInfo, "%s", note.c_str()); };
  return listener;
}

bool KindOf(int32_t lr_schedule, LrSchedule::Kind* out) {
  using Kind = LrSchedule::Kind;
  constexpr Kind kKinds[] = {Kind::kCosine, Kind::kConstant, Kind::kLinear, Kind::kStep};
  if (lr_schedule < 0 || lr_schedule > PTN_LR_STEP) return false;
  *out = kKinds[lr_schedule];
  return true;
}

ptn_status ToSpec(const ptn_trainer_options& o, TrainingSpec* spec) {
  if (!KindOf(o.lr_schedule, &spec->lr_schedule)) {
    return Fail(StatusCode::kInvalidArgument, 0,
                "trainer: there is no such learning-rate schedule (got %d, want 0 to 3)",
                o.lr_schedule);
  }
  if (o.reserved != 0) return Fail(StatusCode::kInvalidArgument, 0, "trainer: reserved is not 0");
  if (o.loader_threads > kMaxThreads) return TooManyThreads("trainer", o.loader_threads);
  if (!(o.time_budget_seconds >= 0)) {
    return Fail(StatusCode::kInvalidArgument, 0, "trainer: the time budget is below 0 (got %g)",
                o.time_budget_seconds);
  }
  if (o.lr != 0) spec->lr = o.lr;
  if (o.epochs != 0) spec->epochs = o.epochs;
  if (o.seed != 0) spec->seed = o.seed;
  spec->steps = o.steps;
  spec->warmup_steps = o.warmup_steps;
  spec->lr_step_every = o.lr_step_every;
  spec->patience = o.patience;
  spec->checkpoint_every = o.checkpoint_every;
  return PTN_OK;
}

// Takes hold of all that the trainer will use.
ptn_status Gather(const ptn_session* session, const ptn_samples* samples,
                  const ptn_trainer_options& o, TrainerHandle* handle) {
  const Status has_session = HandleTable::Global().Peek<SessionHandle>(
      session, [&](SessionHandle& of) { handle->session = of.session; });
  if (!has_session.ok()) return Tell(has_session, "session");
  if (const Status found = SamplesOf(samples, &handle->samples); !found.ok()) {
    return Tell(found, "samples");
  }
  if (o.validation != nullptr) {
    const Status found = SamplesOf(o.validation, &handle->validation);
    if (!found.ok()) return Tell(found, "trainer: validation");
  }
  handle->session_handle = session;
  handle->progress = o.progress;
  handle->user = o.user;
  if (o.folder != nullptr) {
    handle->store = std::make_unique<FolderStore>(o.folder);
  } else {
    handle->store = std::make_unique<MemoryStore>();
  }
  return PTN_OK;
}

ptn_status Create(ptn_session* session, ptn_samples* samples, const ptn_trainer_options& o,
                  ptn_trainer** out) {
  TrainingSpec spec;
  if (const ptn_status bad = ToSpec(o, &spec)) return bad;
  auto handle = std::make_unique<TrainerHandle>();
  if (const ptn_status bad = Gather(session, samples, o, handle.get())) return bad;
  TrainerOptions options;
  options.loader_threads = ThreadsOrOne(o.loader_threads);
  options.time_budget_seconds = o.time_budget_seconds;
  SampleSource* const validation =
      handle->validation == nullptr ? nullptr : handle->validation->source.get();
  Result<std::unique_ptr<Trainer>> trainer =
      Trainer::Create(handle->session.get(), handle->samples->source.get(), validation,
                      handle->store.get(), spec, ListenerOf(handle.get()), std::move(options));
  if (!trainer.ok()) return Tell(trainer.status());
  handle->trainer = std::move(trainer.value());
  return GiveHandle(std::move(handle), out);
}

// Runs `work` as one call on the trainer and on its session.
template <typename Work>
ptn_status OnTrainer(const ptn_trainer* trainer, const Work& work) {
  return Guarded([&]() -> ptn_status {
    Held<TrainerHandle> held(trainer);
    if (!held.status().ok()) return Tell(held.status(), "trainer");
    Held<SessionHandle> session(held->session_handle);
    if (!session.status().ok()) return Tell(session.status(), "trainer: session");
    TrainerHandle& t = *held.operator->();
    if (t.broken) {
      return Fail(StatusCode::kFailedPrecondition, 0,
                  "trainer: a call ran out of memory halfway; make another and restore");
    }
    t.broken = true;
    const ptn_status status = work(t);
    t.broken = false;
    return status;
  });
}

// With what the training knows of it beside the status.
ptn_status TellFault(const Status& status, const TrainFault& fault) {
  if (!fault.text.empty()) {
    return Fail(status.code(), status.detail(), "%s (%s)", status.message(), fault.text.c_str());
  }
  if (fault.sample < 0) return Tell(status);
  return Fail(status.code(), status.detail(), "%s (sample %lld)", status.message(),
              static_cast<long long>(fault.sample));
}

ptn_status Peek(ptn_trainer* trainer, void (Trainer::*ask)()) {
  const Status found = HandleTable::Global().Peek<TrainerHandle>(
      trainer, [&](TrainerHandle& of) { ((*of.trainer).*ask)(); });
  return Tell(found, "trainer");
}

}  // namespace
}  // namespace pocketune::capi

using namespace pocketune;
using namespace pocketune::capi;

extern "C" {

ptn_status ptn_trainer_create(ptn_session* session, ptn_samples* samples,
                              const ptn_trainer_options* options, ptn_trainer** out) {
  if (out == nullptr) return IsNull("trainer", "out");
  *out = nullptr;
  ptn_trainer_options o;
  if (const ptn_status bad = TakeOptions("trainer", options, &o)) return bad;
  return Guarded([&]() -> ptn_status { return Create(session, samples, o, out); });
}

ptn_status ptn_trainer_restore(ptn_trainer* trainer) {
  return OnTrainer(trainer, [](TrainerHandle& t) { return Tell(t.trainer->Restore()); });
}

ptn_status ptn_trainer_run(ptn_trainer* trainer, int32_t* end) {
  return OnTrainer(trainer, [&](TrainerHandle& t) -> ptn_status {
    t.progress_failed = false;
    const Result<TrainEnd> ended = t.trainer->Run();
    if (!ended.ok()) return TellFault(ended.status(), t.trainer->fault());
    if (t.progress_failed) {
      return Fail(StatusCode::kCancelled, 0, "trainer: the progress function threw");
    }
    if (end != nullptr) *end = static_cast<int32_t>(ended.value());
    return PTN_OK;
  });
}

ptn_status ptn_trainer_stop(ptn_trainer* trainer) { return Peek(trainer, &Trainer::Stop); }
ptn_status ptn_trainer_pause(ptn_trainer* trainer) { return Peek(trainer, &Trainer::Pause); }
ptn_status ptn_trainer_resume(ptn_trainer* trainer) { return Peek(trainer, &Trainer::Resume); }

ptn_status ptn_trainer_steps(ptn_trainer* trainer, int64_t* done, int64_t* total) {
  return Guarded([&]() -> ptn_status {
    Held<TrainerHandle> held(trainer);
    if (!held.status().ok()) return Tell(held.status(), "trainer");
    if (done != nullptr) *done = held->trainer->state().step;
    if (total != nullptr) *total = held->trainer->total_steps();
    return PTN_OK;
  });
}

ptn_status ptn_trainer_free(ptn_trainer* trainer) {
  return FreeHandle<TrainerHandle>(trainer, "trainer");
}

}  // extern "C"
