// Flags that `train` alone has.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "apps/train/run_spec.h"

namespace pocketune::cli {

struct TrainFlags {
  std::string out;
  bool resume = false;
  bool dry_run = false;
  std::string time_budget;
  std::string prefix_cache = "auto";
};

// Adds what decides the loop (--epochs, --lr, --patience, ...) to `spec`, and --time-budget,
// --prefix-cache, --resume and --dry-run.
void AddLoopFlags(CLI::App* command, RunSpec* spec, TrainFlags* train);

// Seconds that --time-budget gives: "90", "90s", "9m", "1.5h"; 0 for "". kUsage for what is none.
absl::StatusOr<double> ParseTimeBudget(const std::string& text);

}  // namespace pocketune::cli
