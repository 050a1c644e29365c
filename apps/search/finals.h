// The last round of a search: whole schemes that fit the budget, trained for longer and compared.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/search/search_space.h"
#include "apps/search/trial.h"

namespace pocketune {

struct Finalist {
  std::string name;  // "exact", "evolution", or a scheme's
  Learning learning;
  TrialResult result;
};

// Schemes that one would take without a search, each the largest of its kind that fits: the
// published ones for `model` (mcunetv3:...) and last:K. Passes errors of `fits` on.
absl::StatusOr<std::vector<Finalist>> KnownFinalists(
    const SearchSpace& space, const std::string& model,
    const std::function<absl::StatusOr<bool>(const Learning&)>& fits);

// Trains each with `run` and gives the index of the smallest validation loss, the first among
// equals. Who takes longer than `max_ms` a step loses to the first, whose time was budgeted
// choice by choice. `finalists` is not empty. Passes errors of `run` on.
absl::StatusOr<size_t> RunFinals(
    const std::function<absl::StatusOr<TrialResult>(const Finalist&)>& run, double max_ms,
    std::vector<Finalist>* finalists);

}  // namespace pocketune
