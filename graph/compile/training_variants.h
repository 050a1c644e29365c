// The variants of a training graph: all compute the same step, in different memory.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/compile/memory_fit.h"
#include "graph/compile/pipeline.h"

namespace pocketune {

// The whole batch at once, or it or its frozen layers in equal slices; saved activations in all
// bits or in fewer. Refers to the compilation.
class TrainingVariants {
 public:
  // Makes the variant that the spec asks for; others are made when their turn comes. They are there
  // only where the spec leaves the choice and slices compute the same: no statistics of the batch,
  // no dropout. Fewer bits are there as far down as the spec allows, where the compilation chooses;
  // else those of the spec are the only ones. Passes are recorded in `context`. INVALID_ARGUMENT
  // for a batch that is no multiple of the micro-batch; errors of MakeTraining.
  static absl::StatusOr<TrainingVariants> Of(const Compilation& c, PassContext& context);

  // The variant of the spec, without regard to memory.
  const Training& asked() const { return asked_; }

  using Visit = std::function<absl::Status(MemoryFit& fit)>;
  // Calls `fn` for each variant, that of the spec first, whose fastest plan is `asked_plan`; ends
  // with the first error.
  absl::Status ForEach(const TrainPlan& asked_plan, const Visit& fn) const;

 private:
  explicit TrainingVariants(const Compilation& c) : c_(c) {}
  // The variants that slice so; UNIMPLEMENTED where the model mixes samples.
  absl::Status ForEachOf(const Slicing& slicing, const TrainPlan& asked_plan,
                         const Visit& fn) const;
  absl::Status Offer(const Training& variant, TrainPlan fastest, const Visit& fn) const;

  const Compilation& c_;
  Training asked_;
  std::vector<Slicing> slicings_;  // the one asked for, then others
  std::vector<int> saved_bits_;    // likewise
};

}  // namespace pocketune
