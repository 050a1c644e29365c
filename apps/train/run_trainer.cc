#include "apps/train/run_trainer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/train/evaluator.h"
#include "apps/train/exit_code.h"
#include "apps/train/state_json.h"
#include "graph/base/status_macros.h"

namespace pocketune {

Status RunFolderStore::Remember(absl::Status status) {
  error_ = std::move(status);
  if (error_.ok()) return OkStatus();
  return Status(static_cast<StatusCode>(error_.code()), "run folder");
}

Status RunFolderStore::Save(const Session& session, const TrainState& state) {
  return Remember(folder_->Save(session, ToJsonText(state, *class_names_)));
}

Status RunFolderStore::SaveBest(const Session& session) {
  return Remember(folder_->SaveBest(session));
}

Status RunFolderStore::Restore(Which which, Session& session, TrainState* state) {
  switch (which) {
    case Which::kNewest:
      return Remember(folder_->Restore(session, state, nullptr));
    case Which::kOlder:
      return Remember(folder_->RestoreOlder(session, state));
    case Which::kBest:
      break;
  }
  return Remember(folder_->RestoreBest(session));
}

absl::StatusOr<TrainingSpec> TrainingSpecOf(const RunSpec& spec) {
  const Result<LrSchedule::Kind> kind = ParseLrKind(spec.lr_schedule);
  if (!kind.ok()) {
    return Fail(ExitCode::kUsage,
                absl::StrCat("--lr-schedule: unknown schedule (got ", spec.lr_schedule,
                             ", want constant, step, cosine or linear)"));
  }
  return TrainingSpec{.lr = spec.lr,
                      .lr_schedule = kind.value(),
                      .warmup_steps = spec.warmup_steps,
                      .lr_step_every = spec.lr_step_every,
                      .lr_gamma = spec.lr_gamma,
                      .epochs = spec.epochs,
                      .steps = spec.steps,
                      .seed = spec.seed,
                      .patience = spec.patience,
                      .keep_best = spec.keep == "best",
                      .checkpoint_every = spec.checkpoint_every};
}

RunTrainer::RunTrainer(Session* session, const data::Dataset* dataset, const RunSpec& spec,
                       RunFolder* folder, const TrainListener& listener,
                       const TrainerOptions& options)
    : session_(session),
      dataset_(dataset),
      spec_(spec),
      folder_(folder),
      listener_(listener),
      options_(options),
      store_(folder, &dataset->class_names()) {}

absl::Status RunTrainer::Prepare() {
  const Shape image = ImageShape(*session_, "train");
  PT_TRY_ASSIGN(const data::Transform train, MakeTransform(spec_.data, image, /*train=*/true));
  PT_TRY_ASSIGN(const data::Transform eval, MakeTransform(spec_.data, image, /*train=*/false));
  if (dataset_->Indices(data::Split::kTrain).empty()) {
    return Fail(ExitCode::kData, "no pictures to train on");
  }
  PT_TRY_ASSIGN(const TrainingSpec spec, TrainingSpecOf(spec_));
  pictures_ = std::make_unique<data::DatasetSource>(dataset_, train, data::Split::kTrain);
  validation_ = std::make_unique<data::DatasetSource>(dataset_, eval, data::Split::kVal,
                                                      data::DatasetSourceOptions{.cache_bytes = 0});
  options_.prefix_cache.own_path = folder_->prefix_cache_path();
  TrainListener listener = listener_;
  listener.on_epoch = [this](const EpochEvent& event) { LogEpoch(event); };
  Result<std::unique_ptr<Trainer>> trainer = Trainer::Create(
      session_, pictures_.get(), validation_.get(), &store_, spec, std::move(listener), options_);
  if (!trainer.ok()) return As(ExitCode::kUsage, "train", trainer.status());
  trainer_ = std::move(trainer).value();
  return absl::OkStatus();
}

void RunTrainer::LogEpoch(const EpochEvent& event) {
  const absl::Status logged = folder_->Log(event);
  if (!logged.ok() && listener_.on_note) {
    listener_.on_note(std::string(logged.message()) + "; the run goes on");
  }
  if (listener_.on_epoch) listener_.on_epoch(event);
}

absl::StatusOr<TrainEnd> RunTrainer::Run(TrainState* state) {
  PT_TRY(Prepare());
  trainer_->set_state(*state);
  const Result<TrainEnd> end = trainer_->Run();
  trainer_->Release();  // the session may go before this does
  *state = trainer_->state();
  if (!end.ok()) return Explain(end.status());
  return end.value();
}

absl::Status RunTrainer::Explain(const Status& status) const {
  const TrainFault& fault = trainer_->fault();
  switch (fault.part) {
    case TrainFault::Part::kSource: {
      std::vector<int64_t> bad;
      for (const BadSample& sample : trainer_->bad_samples()) {
        if (sample.source == fault.source) bad.push_back(sample.sample);
      }
      const data::DatasetSource& source =
          fault.source == pictures_.get() ? *pictures_ : *validation_;
      return As(ExitCode::kData, source.Explain(status, fault.sample, bad));
    }
    case TrainFault::Part::kStore:
      return store_.error();
    case TrainFault::Part::kStep:
      return As(ExitCode::kData, "train", status);
    case TrainFault::Part::kGuard:
      return Fail(
          ExitCode::kNumerics,
          absl::StrCat("train: ", fault.text, " at step ", fault.step, ", again after ", kRollbacks,
                       " halvings of the learning rate; the last good checkpoint is kept: "
                       "--resume goes on from it, best with a lower --lr (got ",
                       spec_.lr, ")"));
    case TrainFault::Part::kOptions:
    case TrainFault::Part::kSession:
    case TrainFault::Part::kNone:
      break;
  }
  return As(ExitCode::kInternal, "train", status);
}

std::vector<data::SkippedSample> RunTrainer::Skipped() const {
  std::vector<data::SkippedSample> skipped;
  if (trainer_ == nullptr) return skipped;
  for (const BadSample& sample : trainer_->bad_samples()) {
    const data::DatasetSource& source =
        sample.source == pictures_.get() ? *pictures_ : *validation_;
    data::AddSkipped(source.Skipped({sample.sample}), &skipped);
  }
  return skipped;
}

}  // namespace pocketune
