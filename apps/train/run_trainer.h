// A training run: pictures, spec and run folder put together around the training library
// (pocketune/train.h).
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/data/dataset_source.h"
#include "apps/train/run_folder.h"
#include "apps/train/run_spec.h"
#include "pocketune/session.h"
#include "pocketune/train.h"

namespace pocketune {

// Saves states to a run folder, as JSON in its checkpoints. Keeps the folder's words for what went
// wrong.
class RunFolderStore final : public TrainStore {
 public:
  // Borrows all.
  RunFolderStore(RunFolder* folder, const std::vector<std::string>* class_names)
      : folder_(folder), class_names_(class_names) {}

  Status Save(const Session& session, const TrainState& state) override;
  Status SaveBest(const Session& session) override;
  Status Restore(Which which, Session& session, TrainState* state) override;

  // Of the last call; with an exit code.
  const absl::Status& error() const { return error_; }

 private:
  Status Remember(absl::Status status);

  RunFolder* folder_;
  const std::vector<std::string>* class_names_;
  absl::Status error_;
};

// Borrows everything; one run. The session stands where `state` says (freshly opened, or restored).
class RunTrainer {
 public:
  RunTrainer(Session* session, const data::Dataset* dataset, const RunSpec& spec, RunFolder* folder,
             const TrainListener& listener, const TrainerOptions& options);

  // Trainer::Run from `*state` on, which then is where it stands. Each epoch is written to the
  // folder's log. Errors carry exit codes. After the guard gave up (kNumerics) the session and the
  // newest checkpoint hold the last good state, and another Run of it has as many halvings again.
  absl::StatusOr<TrainEnd> Run(TrainState* state);

  const std::vector<double>& step_ms() const { return trainer_->step_ms(); }
  const std::vector<double>& epoch_seconds() const { return trainer_->epoch_seconds(); }
  const RowCacheFigures& prefix_cache() const { return trainer_->prefix_cache(); }
  // Pictures left out of training and validation, each once.
  std::vector<data::SkippedSample> Skipped() const;

 private:
  absl::Status Prepare();
  absl::Status Explain(const Status& status) const;
  void LogEpoch(const EpochEvent& event);

  Session* session_;
  const data::Dataset* dataset_;
  RunSpec spec_;
  RunFolder* folder_;
  TrainListener listener_;
  TrainerOptions options_;
  RunFolderStore store_;
  std::unique_ptr<data::DatasetSource> pictures_;
  std::unique_ptr<data::DatasetSource> validation_;  // may be of no pictures
  std::unique_ptr<Trainer> trainer_;
};

// What decides a run's result, in the training library's words. INVALID_ARGUMENT for an unknown
// --lr-schedule.
absl::StatusOr<TrainingSpec> TrainingSpecOf(const RunSpec& spec);

}  // namespace pocketune
