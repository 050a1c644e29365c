// The best selection under a budget of a plan's peak, which does not add up over choices.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "sparse_bp/selection.h"

namespace pocketune {

struct PeakSelection {
  Selection best;
  int64_t model_bytes = 0;  // the budget of MCUNetV3's memory under which `best` was selected
};

// `problem` has the costs in MCUNetV3's model, its max_bytes does not matter; `peak_of` compiles a
// selection's plan. That memory rises with the peak: the largest budget of it, of those met by
// bisection, whose exact selection has a plan of at most `max_peak` bytes. Passes errors of
// `peak_of` on; kBudget where even the classifier alone takes more.
absl::StatusOr<PeakSelection> SelectByPeak(
    SelectionProblem problem, int64_t max_peak,
    const std::function<absl::StatusOr<int64_t>(const Selection&)>& peak_of);

}  // namespace pocketune
