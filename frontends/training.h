// The training schedule of a plan, from the forward graph to places in the arena.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "frontends/memory_fit.h"
#include "frontends/model.h"
#include "graph/passes/pass.h"
#include "pocketune/compiler.h"

namespace pocketune {

inline constexpr char kPrediction[] = "logits";  // the output that a loss is attached to

// The schedules of one plan while they are made.
struct Compilation {
  const Model::Impl& model;
  const TrainSpec& spec;
  const Target& target;
  const std::string& metadata;
  bool slices_evaluation = false;  // evaluation too may run in slices
  bool chooses = false;            // takes a way that needs less memory only where it must
  PassContext context = {};
  bool batch_statistics = false;
  Graph forward = {};  // that training differentiates
  std::vector<Graph> evals =
      {};  // stage kPlanned: with the whole batch, then in more and more slices
  std::vector<Value> model_params = {};
};

// A training graph at kOptimized: what follows depends on the memory that it may take.
struct Training {
  Graph optimized;
  Slicing slicing;
  int saved_bits = kAllBits;  // as PassContext::saved_bits
  int narrowed = 0;           // saved activations that are kept in so few
};

// Attaches the model's loss, to one prediction or to those of equal slices of the batch.
absl::StatusOr<ValueId> AttachLoss(const Compilation& c, Graph& graph,
                                   const std::vector<ValueId>& predictions);

// Differentiates c.forward, sliced so, and appends the updates; clip_norm 0 for no clipping. Passes
// are recorded in `context`, which starts as c.context.
absl::StatusOr<Training> MakeTraining(const Compilation& c, PassContext& context,
                                      const Slicing& slicing, double clip_norm);

// The same with saved activations in `bits`, where that lowers the peak; else as it was. Passes are
// recorded in `context`.
absl::StatusOr<Training> NarrowTraining(Training training, PassContext& context, int bits);

// From kOptimized to kPlanned, under so many live bytes or kNoLiveTarget. Evaluation runs in as few
// slices as fit in the arena of training, of those there are.
absl::StatusOr<TrainPlan> PlanTraining(const Compilation& c, const Training& training,
                                       int64_t live_target_bytes);

// What is written of it. Refers to both.
PlanSpec PlanSpecOf(const Compilation& c, const TrainPlan& plan);

}  // namespace pocketune
