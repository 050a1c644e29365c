// Short trainings that say what a scheme is worth.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/data/loader.h"
#include "apps/train/prefix_cache.h"
#include "apps/train/run_spec.h"
#include "pocketune/compiler.h"
#include "pocketune/session.h"

namespace pocketune {

struct TrialResult {
  double val_loss = 0.0;  // mean, nats; infinite where training diverged
  double val_accuracy = 0.0;
  double step_ms = 0.0;  // of a whole step, from the picture on; median
};

struct TrialOptions {
  int64_t head_steps = 0;    // of the classifier alone, which all trials start behind
  std::string plan_path;     // a file to write plans to
  bool cache_prefix = true;  // keep what frozen layers make of the pictures
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
  // Trains under the scheme for so many steps and evaluates. CANCELLED after the stop signal.
  absl::StatusOr<TrialResult> Run(const std::string& scheme, int64_t steps);
  // The compiled plan's figures under the scheme.
  absl::StatusOr<PlanFigures> Compile(const std::string& scheme) const;

 private:
  using Values = std::pair<std::string, std::vector<float>>;  // of one parameter

  absl::StatusOr<Plan> CompilePlan(const std::string& scheme) const;
  absl::StatusOr<std::unique_ptr<Session>> Open(const std::string& scheme) const;
  // False where a number was not finite.
  absl::StatusOr<bool> Train(Session& session, int64_t steps, double* step_ms);
  absl::StatusOr<std::unique_ptr<PrefixCache>> FillCache(Session& session) const;
  absl::StatusOr<TrialResult> Evaluate(Session& session) const;
  absl::Status BindImages(Session& session, const data::Batch& batch) const;
  absl::Status BindLabels(Session& session, const data::Batch& batch) const;
  bool Stopped() const {
    return options_.stop_signal != nullptr && options_.stop_signal->load() != 0;
  }

  const Model* model_;
  const data::Dataset* dataset_;
  RunSpec spec_;
  Target target_;
  TrialOptions options_;
  std::unique_ptr<data::Transform> transform_;  // of training
  std::shared_ptr<data::PictureCache> pictures_;
  std::unique_ptr<data::BatchLoader> loader_;
  std::vector<data::Batch> validation_;
  std::vector<Values> head_;
};

}  // namespace pocketune
