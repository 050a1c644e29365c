#include "apps/search/peak_budget.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "apps/train/exit_code.h"
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

// What no selection exceeds.
int64_t BytesOfAll(const SelectionProblem& problem) {
  int64_t bytes = 0;
  for (const ChoiceValue& biases : problem.biases) bytes = std::max(bytes, biases.bytes);
  for (const auto& choices : problem.weights) {
    int64_t most = 0;
    for (const ChoiceValue& choice : choices) most = std::max(most, choice.bytes);
    bytes += most;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<PeakSelection> SelectByPeak(
    SelectionProblem problem, int64_t max_peak,
    const std::function<absl::StatusOr<int64_t>(const Selection&)>& peak_of) {
  problem.max_bytes = problem.biases[0].bytes;
  PeakSelection found = {SelectExactly(problem), problem.max_bytes};
  PT_TRY_ASSIGN(const int64_t least, peak_of(found.best));
  if (least > max_peak) {
    return Fail(ExitCode::kBudget,
                absl::StrCat("--memory: too little for the classifier alone (got ", max_peak,
                             " bytes, want at least ", least, ")"));
  }
  // All first: most budgets do not bind.
  const int64_t all = BytesOfAll(problem);
  int64_t low = found.model_bytes, high = all;
  for (int64_t budget = high; low <= high; budget = low + (high - low) / 2) {
    problem.max_bytes = budget;
    const Selection selection = SelectExactly(problem);
    PT_TRY_ASSIGN(const int64_t peak, peak_of(selection));
    if (peak <= max_peak) {
      found = {selection, budget};
      if (budget == all) break;
      low = budget + 1;
    } else {
      high = std::min(budget, selection.total.bytes) - 1;
    }
  }
  return found;
}

}  // namespace pocketune
