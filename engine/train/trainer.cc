#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "engine/base/clock.h"
#include "engine/train/batch_change.h"
#include "engine/train/trainer_impl.h"

namespace pocketune {
namespace {

constexpr const char* kSchedule = "train";

Status InvalidArgument(const char* message) {
  return Status(StatusCode::kInvalidArgument, message);
}

Status CheckSpec(const TrainingSpec& spec) {
  if (!(std::isfinite(spec.lr) && spec.lr > 0)) {
    return InvalidArgument("train: the learning rate is not a number above 0");
  }
  if (spec.epochs < 0 || spec.steps < 0 || spec.warmup_steps < 0 || spec.lr_step_every < 0 ||
      spec.patience < 0 || spec.checkpoint_every < 0 || !std::isfinite(spec.lr_gamma)) {
    return InvalidArgument("train: a number of the spec is out of range");
  }
  return OkStatus();
}

}  // namespace

std::string Format(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  return text;
}

Trainer::Impl::Impl(Session* session, SampleSource* samples, SampleSource* validation,
                    TrainStore* store, const TrainingSpec& spec, TrainListener listener,
                    TrainerOptions options)
    : request(options.stop_signal),
      session_(session),
      samples_(samples),
      validation_(validation),
      store_(store),
      spec_(spec),
      listener_(std::move(listener)),
      options_(std::move(options)) {}

Status Trainer::Impl::Prepare() {
  PT_RETURN_IF_ERROR(CheckSpec(spec_));
  if (options_.loader_threads < 1 || options_.queue_batches < 2 || options_.queue_batches > 16) {
    return InvalidArgument("train: bad options (want loader threads >= 1, queue 2 to 16)");
  }
  inputs_ = session_->inputs(kSchedule);
  if (inputs_.empty() || inputs_[0].shape.rank() < 1 || inputs_[0].shape[0] < 1) {
    return Status(StatusCode::kFailedPrecondition, "train: the plan has no training schedule");
  }
  if (samples_ == nullptr || samples_->size() < 1) {
    return Status(StatusCode::kFailedPrecondition, "train: there are no samples to train on");
  }
  batch = inputs_[0].shape[0];
  per_epoch = std::max<int64_t>(1, samples_->size() / batch);
  schedule.kind = spec_.lr_schedule;
  schedule.base = spec_.lr;
  schedule.total_steps = spec_.steps > 0 ? spec_.steps : spec_.epochs * per_epoch;
  schedule.warmup_steps = spec_.warmup_steps;
  schedule.step_every =
      spec_.lr_step_every > 0 ? spec_.lr_step_every * per_epoch : schedule.total_steps;
  schedule.gamma = spec_.lr_gamma;
  classes_ = ClassesOf(*session_);
  return OkStatus();
}

Status Trainer::Impl::Blame(Part part, const Status& status) {
  if (!status.ok() && fault.part == Part::kNone) fault.part = part;
  return status;
}

Status Trainer::Impl::BlameSource(const SampleSource* source, int64_t sample,
                                  const Status& status) {
  if (fault.part == Part::kNone) {
    fault.part = Part::kSource;
    fault.source = source;
    fault.sample = sample;
  }
  return status;
}

Status Trainer::Impl::BlameEvaluation(const SampleSource* source, const EvaluationFault& why,
                                      const Status& status) {
  if (!why.of_source) return Blame(Part::kSession, status);
  AddBad(source, why.bad);
  return BlameSource(source, why.sample, status);
}

Status Trainer::Impl::Restore() {
  fault = {};
  if (store_ == nullptr) return Status(StatusCode::kNotFound, "train: there is no store");
  TrainState restored;
  const Status status = store_->Restore(TrainStore::Which::kNewest, *session_, &restored);
  if (status.ok()) SetState(restored);
  return Blame(Part::kStore, status);
}

void Trainer::Impl::SetState(const TrainState& to) {
  Release(/*done=*/false);
  saved_step_ = -1;
  state = to;
}

// The guard rolls back to a checkpoint: there must be one from the start. A second save of the same
// would count a generation that an uninterrupted training does not have.
Status Trainer::Impl::Begin() {
  fault = {};
  if (running_) return OkStatus();
  CountInBatches(samples_->size(), batch, &state);
  if (state.done && state.step < schedule.total_steps && !OutOfPatience()) {
    Note(
        Format("the run was done after step %lld and goes on to step %lld; the learning rate "
               "follows its schedule anew",
               static_cast<long long>(state.step), static_cast<long long>(schedule.total_steps)));
    if (spec_.keep_best) state.epochs_without_gain = 0;  // these are the best weights
    state.done = false;
    PT_RETURN_IF_ERROR(Save());
  }
  if (state.restored) {
    saved_step_ = state.step;
  } else if (saved_step_ != state.step) {
    PT_RETURN_IF_ERROR(Save());
  }
  running_ = true;
  const Status opened = OpenFeed();
  if (!opened.ok()) Release(/*done=*/false);
  return opened;
}

// Gives the memory of loaders and rows back. A file of rows stays for a training that is not done.
void Trainer::Impl::Release(bool done) {
  if (!running_) return;
  running_ = false;
  CloseLoader();
  for (std::unique_ptr<RowCache>* cache : {&train_cache_, &val_cache_}) {
    if (done && *cache != nullptr) (*cache)->RemoveOwnFile();
    cache->reset();
  }
  cache_memory_ = 0;
  told_cache_bytes_ = false;
  UnbindInputs(*session_, inputs_);
}

// Behind the last step only a validation that was broken off waits for another time.
bool Trainer::Impl::MustStop() const {
  if (state.done || (state.step >= schedule.total_steps && !broken_off_)) return false;
  return request.stopped() || OutOfTime();
}

// What is loaded stays for another Run, and nothing of it is bound.
Result<TrainEnd> Trainer::Impl::SaveAndStop() {
  const bool stopped = request.stopped();
  const Status saved = Checkpoint();
  request.ClearStop();
  broken_off_ = false;
  if (train_cache_ != nullptr) train_cache_->Unbind();
  UnbindInputs(*session_, inputs_);
  if (!saved.ok()) return saved;
  return stopped ? TrainEnd::kStopped : TrainEnd::kTimeBudget;
}

Result<TrainEnd> Trainer::Impl::Run() {
  start_seconds_ = NowSeconds();
  PT_RETURN_IF_ERROR(Begin());
  epoch_begin_ = NowSeconds();
  stoppable_ = true;
  for (;;) {
    if (!state.done) request.Rest();
    if (MustStop()) return SaveAndStop();
    const Result<std::optional<TrainEnd>> end = Advance();
    if (!end.ok()) return end.status();
    if (end.value().has_value()) return *end.value();
  }
}

Result<std::optional<TrainEnd>> Trainer::Impl::RunStep() {
  PT_RETURN_IF_ERROR(Begin());
  stoppable_ = false;
  broken_off_ = false;
  request.Rest();
  return Advance();
}

// A step and what is due behind it, or what is left to do behind the last one.
Result<std::optional<TrainEnd>> Trainer::Impl::Advance() {
  const double begin = NowSeconds();
  Status status;
  if (!state.done && state.step >= schedule.total_steps) {
    status = state.epoch_steps > 0 ? EndEpoch() : Finish();
  } else if (!state.done) {
    if (!AtEpochEnd()) status = Step();  // else its validation was broken off
    if (status.ok() && AtEpochEnd()) {
      status = EndEpoch();
      if (!broken_off_) epoch_seconds.push_back(NowSeconds() - epoch_begin_);
      epoch_begin_ = NowSeconds();
    } else if (status.ok() && spec_.checkpoint_every > 0 &&
               state.step % spec_.checkpoint_every == 0) {
      status = Checkpoint();
    }
    slowest_seconds_ = std::max(slowest_seconds_, NowSeconds() - begin);
  }
  if (!status.ok()) {
    Release(/*done=*/false);
    return status;
  }
  if (!state.done) return std::optional<TrainEnd>();
  Release(/*done=*/true);
  return std::optional<TrainEnd>(state.step < schedule.total_steps ? TrainEnd::kEarlyStopped
                                                                   : TrainEnd::kFinished);
}

bool Trainer::Impl::OutOfTime() const {
  if (options_.time_budget_seconds <= 0) return false;
  // Twice the slowest so far: the next step, its validation and the save must still fit.
  return NowSeconds() - start_seconds_ + 2 * slowest_seconds_ > options_.time_budget_seconds;
}

Status Trainer::Impl::Step() {
  for (;;) {
    if (loader_ == nullptr) PT_RETURN_IF_ERROR(MakeLoader());
    const Result<const Batch*> next = loader_->Next();
    if (!next.ok()) return BlameSource(samples_, loader_->failed_sample(), next.status());
    const Batch& loaded = *next.value();
    const double begin = NowSeconds();
    const Status bound = train_cache_ == nullptr ? OkStatus() : train_cache_->Bind(loaded);
    if (bound.ok()) return StepOn(loaded, begin);
    Note("prefix cache: off: " + train_cache_->TextOf(bound));
    train_cache_->Remove();
    train_cache_.reset();
    CloseLoader();
  }
}

Status Trainer::Impl::StepOn(const Batch& loaded, double begin) {
  PT_RETURN_IF_ERROR(Blame(Part::kSession, BindBatch(*session_, loaded)));
  float loss = 0;
  const double lr = schedule.At(state.step) * state.lr_factor;
  const Status status = session_->TrainStep(lr, &loss);
  const double seconds = NowSeconds() - begin;
  if (status.code() == StatusCode::kDataLoss) return RollBack({status.message()}, state.step + 1);
  if (!status.ok()) {
    fault.step = state.step + 1;
    return Blame(Part::kStep, status);
  }
  step_ms.push_back(seconds * 1e3);
  if (state.step == 0) state.loss_first = loss;
  state.loss_last = loss;
  state.epoch_loss_sum += loss;
  ++state.epoch_steps;
  ++state.step;
  if (listener_.on_step) {
    listener_.on_step(
        {state.step, schedule.total_steps, (state.step - 1) / per_epoch, loss, seconds});
  }
  return OkStatus();
}

Trainer::Trainer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Trainer::~Trainer() = default;

Result<std::unique_ptr<Trainer>> Trainer::Create(Session* session, SampleSource* samples,
                                                 SampleSource* validation, TrainStore* store,
                                                 const TrainingSpec& spec, TrainListener listener,
                                                 TrainerOptions options) {
  auto impl = std::make_unique<Impl>(session, samples, validation, store, spec, std::move(listener),
                                     std::move(options));
  PT_RETURN_IF_ERROR(impl->Prepare());
  return std::unique_ptr<Trainer>(new Trainer(std::move(impl)));
}

Status Trainer::Restore() { return impl_->Restore(); }
void Trainer::Release() { impl_->Release(/*done=*/false); }
void Trainer::set_state(const TrainState& state) { impl_->SetState(state); }
const TrainState& Trainer::state() const { return impl_->state; }
Result<TrainEnd> Trainer::Run() { return impl_->Run(); }
Result<std::optional<TrainEnd>> Trainer::Step() { return impl_->RunStep(); }
void Trainer::Stop() { impl_->request.Stop(); }
void Trainer::Pause() { impl_->request.Pause(); }
void Trainer::Resume() { impl_->request.Resume(); }
bool Trainer::resting() const { return impl_->request.resting(); }
int64_t Trainer::total_steps() const { return impl_->schedule.total_steps; }
int64_t Trainer::batch() const { return impl_->batch; }
int64_t Trainer::steps_per_epoch() const { return impl_->per_epoch; }
const std::vector<double>& Trainer::step_ms() const { return impl_->step_ms; }
const std::vector<double>& Trainer::epoch_seconds() const { return impl_->epoch_seconds; }
const RowCacheFigures& Trainer::prefix_cache() const { return impl_->cache_figures; }
std::vector<BadSample> Trainer::bad_samples() const { return impl_->Bad(); }
const TrainFault& Trainer::fault() const { return impl_->fault; }

}  // namespace pocketune
