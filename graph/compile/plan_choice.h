// The choice among the variants of a training graph, under a memory budget.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/compile/training_variants.h"

namespace pocketune {

// The fastest plan under the target's budget, if it has one; what that costs goes to `trade`.
// OUT_OF_RANGE where none is so small.
absl::StatusOr<TrainPlan> FitTraining(const Compilation& c, const TrainingVariants& variants,
                                      MemoryTrade* trade);

// Of all plans found those that no other beats in both memory and time, smallest first.
absl::StatusOr<std::vector<ParetoPoint>> ParetoOf(const Compilation& c,
                                                  const TrainingVariants& variants);

// What clipping adds to the peak of the fastest plan.
absl::StatusOr<int64_t> CostOfClipping(const Compilation& c, const TrainingVariants& variants);

}  // namespace pocketune
