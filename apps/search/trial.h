// Short trainings that say what a scheme is worth.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/data/dataset_source.h"
#include "apps/train/process_budget.h"
#include "apps/train/run_spec.h"
#include "pocketune/compiler.h"
#include "pocketune/session.h"
#include "pocketune/train.h"

namespace pocketune {

struct TrialResult {
  double val_loss = 0.0;  // mean, nats; infinite where training diverged
  double val_accuracy = 0.0;
  double step_ms = 0.0;  // of a whole step, from the picture on; median
};

// What bounds the memory of trials.
struct TrialBound {
  // Compiles the scheme for a peak of at most `plan_bytes` (0: any) into the file `path` (empty:
  // none) where that takes none of this process's memory. kBudget where no plan is so small.
  std::function<absl::StatusOr<PlanFigures>(const std::string& scheme, const std::string& path,
                                            int64_t plan_bytes)>
      compile;
  int64_t plan_bytes = 0;  // of a plan's peak, at most
  // How loaders and caches divide what a plan of that peak leaves.
  std::function<Division(int64_t plan_peak)> divide;
};

struct TrialOptions {
  int64_t head_steps = 0;    // of the classifier alone, which all trials start behind
  std::string plan_path;     // a file to write plans to
  bool cache_prefix = true;  // keep what frozen layers make of the pictures
  // Where it is there, loaders stand one at a time, and validation reads its pictures each time.
  std::optional<TrialBound> bound;
  // Set by a signal handler: the trial at hand is given up.
  const std::atomic<int>* stop_signal = nullptr;
};

// Trains schemes of one model from the same start on the same batches: the given weights, and a
// classifier trained alone. Nothing of it depends on the clock but step_ms. After the first steps,
// which are timed, steps begin behind the frozen layers: the same bits in less time.
class TrialRunner {
 public:
  // Borrows the model and the dataset.
  TrialRunner(const Model* model, const data::Dataset* dataset, const RunSpec& spec,
              const Target& target, const TrialOptions& options)
      : model_(model), dataset_(dataset), spec_(spec), target_(target), options_(options) {}

  // Reads the validation pictures and trains the classifier. kData where there are none.
  absl::Status Prepare();
  // Trains under the scheme for so many steps and evaluates. CANCELLED after the stop signal;
  // kBudget where no plan is as small as the bound wants.
  absl::StatusOr<TrialResult> Run(const std::string& scheme, int64_t steps);
  // The compiled plan's figures under the scheme.
  absl::StatusOr<PlanFigures> Compile(const std::string& scheme) const;

 private:
  using Values = std::pair<std::string, std::vector<float>>;  // of one parameter

  absl::StatusOr<Plan> CompilePlan(const std::string& scheme) const;
  absl::StatusOr<PlanFigures> WritePlan(const std::string& scheme) const;
  absl::StatusOr<std::unique_ptr<Session>> Open(const std::string& scheme);
  absl::Status MakeSources();
  // For decoded pictures: half of what a bound leaves for caches, which is enough for each alike.
  int64_t PictureBytes() const {
    const int64_t bytes = data::DatasetSourceOptions().cache_bytes;
    return options_.bound.has_value() ? std::min(bytes, division_.cache_bytes / 2) : bytes;
  }
  LoaderSize loader_size() const { return {division_.loader_threads, division_.queue_batches}; }
  TrainerOptions OptionsOf(bool caches) const;
  // False where a number was not finite.
  absl::StatusOr<bool> Train(Session& session, int64_t steps, double* step_ms);
  absl::StatusOr<bool> TrainTimed(Trainer& trainer, double* step_ms);
  absl::StatusOr<bool> TrainToTheEnd(Trainer& trainer) const;
  absl::StatusOr<bool> Explain(const Status& status, const Trainer& trainer) const;
  absl::StatusOr<TrialResult> Evaluate(Session& session);
  bool Stopped() const {
    return options_.stop_signal != nullptr && options_.stop_signal->load() != 0;
  }

  const Model* model_;
  const data::Dataset* dataset_;
  RunSpec spec_;
  Target target_;
  TrialOptions options_;
  Division division_;  // of the plan at hand
  // Their decoded pictures stay for the next trial where memory is not bounded.
  std::unique_ptr<data::DatasetSource> pictures_;  // of training
  std::unique_ptr<data::DatasetSource> validation_;
  std::vector<Values> head_;
};

}  // namespace pocketune
