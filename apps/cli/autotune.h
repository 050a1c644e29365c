// Measures, for each op of a plan that several kernels serve, which of them is fastest.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/cli/common.h"
#include "pocketune/tuning.h"

namespace pocketune::cli {

// All ops of the plan's schedules, each with all kernels of the CPU backend that serve it, on
// random data, at the current instruction set. Kernels of an op take turns; between two runs its
// data leaves the caches, as in a step. What comes first in the backend's order stays where no
// other is faster by more than 2 %. kModel where the file is no plan, kLocked where memory does not
// do.
absl::StatusOr<Tuning> Autotune(const std::string& plan_path, int threads);

// For a person: how many ops have another kernel than by default, and the largest differences.
std::vector<std::string> TuningLines(const Tuning& tuning);

// The table that --tuning names, or null without the flag; a table of another processor is taken
// with a warning. kModel where there is none or it is damaged.
absl::StatusOr<std::unique_ptr<Tuning>> LoadTuning(const CommonFlags& flags);

}  // namespace pocketune::cli
