// The stages of a compilation, in their order. Data goes through the folders one way: sparse_bp
// marks what learns, graph/passes prepare the forward pass, autodiff makes the training graph of
// it, graph/passes and graph/memory plan that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/compile/memory_fit.h"
#include "graph/ir/model.h"
#include "graph/passes/pass.h"
#include "pocketune/compiler.h"

namespace pocketune {

// One compilation: what was asked for, and what the stages have made so far.
struct Compilation {
  const Model::Impl& model;
  const TrainSpec& spec;
  const Target& target;
  const std::string& metadata;
  bool slices_evaluation = false;  // evaluation too may run in slices
  bool chooses = false;            // saved activations in fewer bits only where memory is short
  PassContext context = {};
  bool batch_statistics = false;
  Graph forward = {};  // that training differentiates
  // Stage kPlanned: with the whole batch, then in more and more slices.
  std::vector<Graph> evals = {};
  // Stage kPlanned: predictions of one sample; nothing where batches are of one, where the target
  // wants none, or where the model mixes samples.
  std::optional<Graph> predict = {};
  std::vector<Value> model_params = {};
  PlanOrigin origin = {};
};

// A training graph at kOptimized: what follows depends on the memory that it may take.
struct Training {
  Graph optimized;
  Slicing slicing;
  int saved_bits = kAllBits;  // as PassContext::saved_bits
  int narrowed = 0;           // saved activations that are kept in so few
};

// First stage: marks the parameters that learn under the spec's scheme, makes `c.forward` ready for
// differentiation, and `c.evals` and `c.predict` ready to run: all but the training schedule.
// Statistics that follow the batches are not folded into the evaluation either. Where memory
// matters, slices of the batch that need less are offered.
absl::Status PrepareForward(Compilation& c);

// Second stage: slices `c.forward` so, attaches the loss, differentiates, appends the updates and
// optimizes; clip_norm 0 for no clipping. Passes are recorded in `context`, which starts as
// c.context.
absl::StatusOr<Training> MakeTraining(const Compilation& c, PassContext& context,
                                      const Slicing& slicing, double clip_norm);

// Third stage: the same with saved activations in `bits`, where that lowers the peak; else as it
// was. Passes are recorded in `context`.
absl::StatusOr<Training> NarrowTraining(Training training, PassContext& context, int bits);

// Fourth stage: from kOptimized to kPlanned, under so many live bytes or kNoLiveTarget. Evaluation
// runs in as few slices as fit in the arena of training, of those there are.
absl::StatusOr<TrainPlan> PlanTraining(const Compilation& c, const Training& training,
                                       int64_t live_target_bytes);

// Fifth stage: the same plan with the schedule for one sample, unless there is none or it would
// take a byte of the arena. Under a budget its sizes are counted; else writing the plan counts
// them. Errors as SizesOfPlan.
absl::StatusOr<TrainPlan> WithPrediction(const Compilation& c, TrainPlan plan);

// Last stage: what is written of it. Refers to both.
PlanSpec PlanSpecOf(const Compilation& c, const TrainPlan& plan);

}  // namespace pocketune
