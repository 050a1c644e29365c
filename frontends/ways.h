// The ways in which a training step may run, and the choice among them under a memory budget.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "frontends/memory_fit.h"
#include "frontends/training.h"

namespace pocketune {

// Numbers of equal slices, above one, in which a batch may run.
std::vector<int> SlicesOf(int batch);
// Samples of one slice; 0 where there is but one.
int MicroBatchOf(int slices, int batch);

// The whole batch at once, or it or its frozen layers in equal slices; saved activations in all
// bits or in fewer. Refers to the compilation.
class Ways {
 public:
  // Makes the way that the spec asks for; others are made when their turn comes. They are there
  // only where the spec leaves the choice and slices compute the same: no statistics of the batch,
  // no dropout. Fewer bits are there as far down as the spec allows, where the compilation chooses;
  // else those of the spec are the only ones. Passes are recorded in `context`. INVALID_ARGUMENT
  // for a batch that is no multiple of the micro-batch; errors of MakeTraining.
  static absl::StatusOr<Ways> Of(const Compilation& c, PassContext& context);

  // The way of the spec, without regard to memory.
  const Training& asked() const { return asked_; }

  using Visit = std::function<absl::Status(MemoryFit& fit)>;
  // Calls `fn` for each way, that of the spec first, whose fastest plan is `asked_plan`; ends with
  // the first error.
  absl::Status ForEach(const TrainPlan& asked_plan, const Visit& fn) const;

 private:
  explicit Ways(const Compilation& c) : c_(c) {}
  // The ways that slice so; UNIMPLEMENTED where the model mixes samples.
  absl::Status ForEachOf(const Slicing& slicing, const TrainPlan& asked_plan,
                         const Visit& fn) const;
  absl::Status Offer(const Training& way, TrainPlan fastest, const Visit& fn) const;

  const Compilation& c_;
  Training asked_;
  std::vector<Slicing> slicings_;  // the one asked for, then others
  std::vector<int> saved_bits_;    // likewise
};

// The fastest plan under the target's budget, if it has one; what that costs goes to `trade`.
// OUT_OF_RANGE where none is so small.
absl::StatusOr<TrainPlan> FitTraining(const Compilation& c, const Ways& ways, MemoryTrade* trade);

// Of all plans found those that no other beats in both memory and time, smallest first.
absl::StatusOr<std::vector<ParetoPoint>> ParetoOf(const Compilation& c, const Ways& ways);

// What clipping adds to the peak of the fastest plan.
absl::StatusOr<int64_t> CostOfClipping(const Compilation& c, const Ways& ways);

}  // namespace pocketune
