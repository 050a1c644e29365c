// The training loop: batches, learning rate, guard, validation, checkpoints.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/data/loader.h"
#include "apps/train/evaluator.h"
#include "apps/train/lr_schedule.h"
#include "apps/train/prefix_cache.h"
#include "apps/train/run_folder.h"
#include "apps/train/run_spec.h"
#include "pocketune/session.h"

namespace pocketune {

// Rollbacks, each with half the learning rate, before the numerical guard gives up.
inline constexpr int64_t kRollbacks = 3;

// What a run knows beside the session's tensors; saved with every checkpoint. No clock in it: the
// same run gives the same bytes, interrupted or not.
struct TrainState {
  int64_t step = 0;  // batches done; position in the data follows from it
  double lr_factor = 1.0;
  int64_t rollbacks = 0;
  double epoch_loss_sum = 0.0;
  int64_t epoch_steps = 0;
  double loss_first = 0.0;
  double loss_last = 0.0;
  double best_accuracy = -1.0;
  double best_loss = -1.0;  // on validation, of the best epoch; negative: not known
  int64_t best_epoch = -1;
  int64_t epochs_without_gain = 0;
  int64_t rollback_limit = kRollbacks;  // the guard gives up at the next one
  bool done = false;
  bool restored = false;  // from a checkpoint; not itself saved
};

struct StepEvent {
  int64_t step = 0;  // 1-based
  int64_t total_steps = 0;
  int64_t epoch = 0;
  double loss = 0.0;
  double seconds = 0.0;  // of this step, data included
};

struct EpochEvent {
  int64_t epoch = 0;  // 0-based
  int64_t step = 0;
  double train_loss = 0.0;
  double lr = 0.0;
  bool validated = false;
  double val_loss = 0.0;
  double val_accuracy = 0.0;
  bool best = false;
};

// Whom the loop tells. Empty functions are not called.
struct TrainListener {
  std::function<void(const StepEvent&)> on_step;
  std::function<void(const EpochEvent&)> on_epoch;
  std::function<void(const std::string&)> on_note;
};

// How a run ended, when it did not fail.
enum class TrainEnd : uint8_t { kFinished, kEarlyStopped, kTimeBudget, kSignal };

struct TrainerOptions {
  int loader_threads = 1;
  int queue_batches = 3;  // of a loader
  // Where memory is bounded: what the caches of rows and of pictures may take together. Loaders are
  // then there one at a time, and none while a checkpoint is read.
  std::optional<int64_t> cache_bytes;
  double time_budget_seconds = 0.0;  // 0: none; stops and saves in time for it
  // Set by a signal handler: the loop saves and ends after the step in flight.
  const std::atomic<int>* stop_signal = nullptr;
  PrefixCacheOptions prefix_cache;
};

// What the prefix cache held in a run, both splits together.
struct PrefixCacheFigures {
  int64_t bytes = 0;  // 0: it was off
  bool in_file = false;
  int64_t computed = 0;  // rows
  double fill_seconds = 0.0;
};

// Borrows everything; one run. The session stands where `state` says (freshly opened, or restored).
class Trainer {
 public:
  Trainer(Session* session, const data::Dataset* dataset, const RunSpec& spec, RunFolder* folder,
          const TrainListener& listener, const TrainerOptions& options);

  // Runs to the end, or on from where a run was done if its spec has more steps by now. Nothing is
  // saved that holds or answers with numbers that are not finite: the run goes back to the last
  // state that does not, with half the learning rate. Errors carry exit codes. After the guard gave
  // up (kNumerics) the session and the newest checkpoint hold that state, and another Run of it has
  // as many halvings again.
  absl::StatusOr<TrainEnd> Run(TrainState* state);

  int64_t total_steps() const { return schedule_.total_steps; }
  // Milliseconds of each TrainStep of this process, without the wait for data.
  const std::vector<double>& step_ms() const { return step_ms_; }
  // Seconds of each whole epoch of this process, validation and checkpoint included.
  const std::vector<double>& epoch_seconds() const { return epoch_seconds_; }
  const PrefixCacheFigures& prefix_cache() const { return cache_figures_; }
  // Pictures left out of training and validation, each once.
  std::vector<data::SkippedSample> Skipped() const;

 private:
  absl::Status Prepare();
  absl::Status PrepareData(const TrainState& state);
  data::LoaderSize loader_size() const { return {options_.loader_threads, options_.queue_batches}; }
  absl::Status MakeLoader(const TrainState& state);
  void CloseLoader();
  // Where memory is bounded, for what comes next.
  void MakeRoom() {
    if (options_.cache_bytes.has_value()) CloseLoader();
  }
  void SharePictures();
  void OpenCaches(const TrainState& state);
  std::unique_ptr<PrefixCache> OpenCache(const char* schedule, data::Split split,
                                         const data::Transform& transform);
  void CloseCaches();
  absl::Status BindData(const data::Batch& batch);
  absl::StatusOr<Evaluation> Validate();
  bool Stopped() const {
    return options_.stop_signal != nullptr && options_.stop_signal->load() != 0;
  }
  absl::Status Step(TrainState* state);
  absl::Status Begin(TrainState* state);
  absl::Status RollBack(TrainState* state, const std::string& fault, int64_t step);
  absl::StatusOr<std::string> FaultOfAnswers(Evaluation* eval);
  absl::Status EndEpoch(TrainState* state);
  void JudgeEpoch(const Evaluation& eval, TrainState* state, EpochEvent* event) const;
  absl::Status Checkpoint(TrainState* state);
  absl::Status Finish(TrainState* state);
  absl::Status Save(const TrainState& state);
  absl::Status KeepBest(TrainState* state);
  bool OutOfTime() const;
  bool OutOfPatience(const TrainState& state) const {
    return spec_.patience > 0 && state.epochs_without_gain >= spec_.patience;
  }
  bool HasValidation() const { return !dataset_->Indices(data::Split::kVal).empty(); }
  void Note(const std::string& text) const {
    if (listener_.on_note) listener_.on_note(text);
  }

  Session* session_;
  const data::Dataset* dataset_;
  RunSpec spec_;
  RunFolder* folder_;
  TrainListener listener_;
  TrainerOptions options_;
  int64_t batch_ = 0;
  LrSchedule schedule_;
  data::LoaderOptions loader_options_;
  int64_t per_epoch_ = 0;  // batches
  std::unique_ptr<data::Transform> train_transform_;
  std::unique_ptr<data::Transform> eval_transform_;
  std::unique_ptr<PrefixCache> train_cache_;
  std::unique_ptr<PrefixCache> val_cache_;
  std::unique_ptr<data::BatchLoader> loader_;
  std::vector<data::SkippedSample> skipped_;  // in validation, or by loaders that are closed
  PrefixCacheFigures cache_figures_;
  int64_t cache_memory_ = 0;  // of both prefix caches, where memory is bounded
  int64_t saved_step_ = -1;   // what the newest checkpoint holds; -1: there is none
  double start_seconds_ = 0.0;
  double slowest_seconds_ = 0.0;  // of a step or a validation with its save, for the time budget
  std::vector<double> step_ms_;
  std::vector<double> epoch_seconds_;
};

std::string ToJsonText(const TrainState& state, const std::vector<std::string>& class_names);
absl::StatusOr<TrainState> TrainStateFromJsonText(const std::string& text);

}  // namespace pocketune
