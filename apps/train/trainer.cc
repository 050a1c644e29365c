#include "apps/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/train/exit_code.h"

namespace pocketune {
namespace {

constexpr int64_t kMaxRollbacks = 3;

}  // namespace

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Trainer::Trainer(Session* session, const data::Dataset* dataset, const RunSpec& spec,
                 RunFolder* folder, const TrainListener& listener, const TrainerOptions& options)
    : session_(session),
      dataset_(dataset),
      spec_(spec),
      folder_(folder),
      listener_(listener),
      options_(options) {}

absl::Status Trainer::Prepare() {
  const Shape image = ImageShape(*session_, "train");
  batch_ = image[0];
  absl::StatusOr<data::Transform> train = MakeTransform(spec_.data, image, /*train=*/true);
  if (!train.ok()) return train.status();
  absl::StatusOr<data::Transform> eval = MakeTransform(spec_.data, image, /*train=*/false);
  if (!eval.ok()) return eval.status();
  eval_transform_ = std::make_unique<data::Transform>(*eval);

  data::LoaderOptions options;
  options.split = data::Split::kTrain;
  options.batch = batch_;
  options.seed = spec_.seed;
  // A short batch would change the batch statistics; a set smaller than a batch has no other.
  const int64_t samples = static_cast<int64_t>(dataset_->Indices(data::Split::kTrain).size());
  options.drop_last = samples >= batch_;
  options.threads = options_.loader_threads;
  absl::StatusOr<std::unique_ptr<data::BatchLoader>> loader =
      data::BatchLoader::Create(dataset_, *train, options);
  if (!loader.ok()) return As(ExitCode::kData, loader.status());
  loader_ = *std::move(loader);

  absl::StatusOr<LrSchedule::Kind> kind = ParseLrKind(spec_.lr_schedule);
  if (!kind.ok()) return As(ExitCode::kUsage, kind.status());
  const int64_t per_epoch = loader_->batches_per_epoch();
  schedule_.kind = *kind;
  schedule_.base = spec_.lr;
  schedule_.total_steps = spec_.steps > 0 ? spec_.steps : spec_.epochs * per_epoch;
  schedule_.warmup_steps = spec_.warmup_steps;
  schedule_.step_every =
      spec_.lr_step_every > 0 ? spec_.lr_step_every * per_epoch : schedule_.total_steps;
  schedule_.gamma = spec_.lr_gamma;
  return absl::OkStatus();
}

absl::StatusOr<TrainEnd> Trainer::Run(TrainState* state) {
  PT_TRY(Prepare());
  start_seconds_ = NowSeconds();
  const int64_t per_epoch = loader_->batches_per_epoch();
  loader_->Seek(state->step / per_epoch, state->step % per_epoch);
  // The guard rolls back to a checkpoint: there must be one from the start. A second save of the
  // same would count a generation that an uninterrupted run does not have.
  if (!state->restored) PT_TRY(Save(*state));

  while (!state->done && state->step < schedule_.total_steps) {
    const bool signalled = options_.stop_signal != nullptr && options_.stop_signal->load() != 0;
    if (signalled || OutOfTime()) {
      PT_TRY(Save(*state));
      return signalled ? TrainEnd::kSignal : TrainEnd::kTimeBudget;
    }
    const double begin = NowSeconds();
    PT_TRY(Step(state));
    if (state->step % per_epoch == 0 && state->epoch_steps > 0) {
      PT_TRY(EndEpoch(state));
    } else if (spec_.checkpoint_every > 0 && state->step % spec_.checkpoint_every == 0) {
      PT_TRY(Save(*state));
    }
    slowest_seconds_ = std::max(slowest_seconds_, NowSeconds() - begin);
  }
  const bool early = state->done && state->step < schedule_.total_steps;
  if (state->epoch_steps > 0) PT_TRY(EndEpoch(state));
  if (!state->done) {
    state->done = true;
    PT_TRY(KeepBest(state));
    PT_TRY(Save(*state));
  }
  return early ? TrainEnd::kEarlyStopped : TrainEnd::kFinished;
}

bool Trainer::OutOfTime() const {
  if (options_.time_budget_seconds <= 0) return false;
  // Twice the slowest so far: the next step, its validation and the save must still fit.
  return NowSeconds() - start_seconds_ + 2 * slowest_seconds_ > options_.time_budget_seconds;
}

absl::Status Trainer::Step(TrainState* state) {
  absl::StatusOr<const data::Batch*> next = loader_->Next();
  if (!next.ok()) return As(ExitCode::kData, next.status());
  const data::Batch& batch = **next;
  const double begin = NowSeconds();
  const auto bind = [&](const char* name, const auto& data) {
    return As(ExitCode::kInternal, "train",
              session_->Bind(name, data.data(), int64_t(data.size() * sizeof(data[0]))));
  };
  PT_TRY(bind("image", batch.images));
  PT_TRY(bind("label", batch.labels));
  PT_TRY(bind("weight", batch.weights));
  float loss = 0;
  const double lr = schedule_.At(state->step) * state->lr_factor;
  const Status status = session_->TrainStep(lr, &loss);
  const double seconds = NowSeconds() - begin;
  if (status.code() == StatusCode::kDataLoss) return RollBack(state, status);
  if (!status.ok()) return As(ExitCode::kData, "train", status);
  step_ms_.push_back(seconds * 1e3);
  if (state->step == 0) state->loss_first = loss;
  state->loss_last = loss;
  state->epoch_loss_sum += loss;
  ++state->epoch_steps;
  ++state->step;
  if (listener_.on_step) {
    listener_.on_step({state->step, schedule_.total_steps,
                       (state->step - 1) / loader_->batches_per_epoch(), loss, seconds});
  }
  return absl::OkStatus();
}

// Back to the last checkpoint with half the learning rate. What is not finite has reached no
// weight, but weights updated earlier in the same step have moved.
absl::Status Trainer::RollBack(TrainState* state, const Status& fault) {
  const int64_t rollbacks = state->rollbacks + 1;
  const double factor = state->lr_factor / 2;
  const int64_t failed_step = state->step + 1;
  PT_TRY(folder_->Restore(*session_, state, nullptr));
  if (rollbacks > kMaxRollbacks) {
    return Fail(ExitCode::kNumerics,
                absl::StrCat("train: ", fault.message(), " at step ", failed_step, ", again after ",
                             kMaxRollbacks,
                             " halvings of the learning rate; the last good checkpoint is kept"));
  }
  state->rollbacks = rollbacks;
  state->lr_factor = factor;
  PT_TRY(Save(*state));  // so that a resumed run does not repeat the mistake
  const int64_t per_epoch = loader_->batches_per_epoch();
  loader_->Seek(state->step / per_epoch, state->step % per_epoch);
  Note(absl::StrFormat("%s at step %d: rolled back to step %d, learning rate halved (x%g)",
                       fault.message(), failed_step, state->step, factor));
  return absl::OkStatus();
}

absl::Status Trainer::EndEpoch(TrainState* state) {
  EpochEvent event;
  event.epoch = (state->step - 1) / loader_->batches_per_epoch();
  event.step = state->step;
  event.train_loss = state->epoch_loss_sum / static_cast<double>(state->epoch_steps);
  event.lr = schedule_.At(state->step - 1) * state->lr_factor;
  state->epoch_loss_sum = 0;
  state->epoch_steps = 0;
  if (!dataset_->Indices(data::Split::kVal).empty()) {
    absl::StatusOr<Evaluation> eval = Evaluate(*session_, *dataset_, *eval_transform_,
                                               data::Split::kVal, batch_, options_.loader_threads);
    if (!eval.ok()) return eval.status();
    event.validated = true;
    event.val_loss = eval->loss;
    event.val_accuracy = eval->accuracy();
    event.best = event.val_accuracy > state->best_accuracy;
    state->epochs_without_gain = event.best ? 0 : state->epochs_without_gain + 1;
    if (event.best) {
      state->best_accuracy = event.val_accuracy;
      state->best_epoch = event.epoch;
      if (spec_.keep == "best") PT_TRY(folder_->SaveBest(*session_));
    }
  }
  folder_->Log(event);
  if (listener_.on_epoch) listener_.on_epoch(event);
  if (spec_.patience > 0 && state->epochs_without_gain >= spec_.patience) {
    Note(absl::StrCat("no gain on validation for ", spec_.patience, " epochs: stopping early"));
    state->done = true;
  }
  if (state->step >= schedule_.total_steps) state->done = true;
  if (state->done) PT_TRY(KeepBest(state));
  return Save(*state);
}

absl::Status Trainer::KeepBest(TrainState* state) {
  if (spec_.keep != "best" || state->best_epoch < 0) return absl::OkStatus();
  if (state->epochs_without_gain == 0) return absl::OkStatus();  // the last epoch is the best
  PT_TRY(folder_->RestoreBest(*session_));
  session_->set_step(static_cast<uint64_t>(state->step));
  Note(absl::StrFormat("kept the weights of epoch %d (validation accuracy %.1f %%)",
                       state->best_epoch + 1, 100 * state->best_accuracy));
  return absl::OkStatus();
}

absl::Status Trainer::Save(const TrainState& state) {
  return folder_->Save(*session_, ToJsonText(state, dataset_->class_names()));
}

std::vector<std::string> Trainer::Skipped() const {
  std::vector<std::string> lines;
  if (loader_ == nullptr) return lines;
  for (const data::SkippedSample& sample : loader_->skipped()) lines.push_back(sample.reason);
  return lines;
}

}  // namespace pocketune
