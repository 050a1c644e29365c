// Flags that `train` alone has.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/cli/flags.h"
#include "apps/train/resume_flags.h"
#include "apps/train/run_spec.h"

namespace pocketune::cli {

struct TrainFlags {
  std::string out;
  bool resume = false;
  bool dry_run = false;
  std::string time_budget;
  std::string prefix_cache = "auto";
  std::vector<GivenFlag> given;  // all that stand in the command line
};

// Adds what decides the loop (--epochs, --lr, --patience, ...) to `spec`, and --time-budget,
// --prefix-cache, --from-scratch, --resume and --dry-run.
void AddLoopFlags(const Command& command, RunSpec* spec, TrainFlags* train);

// Flags of `given` that have no effect on training `spec`, a line for each that says why.
std::vector<std::string> IdleFlags(const RunSpec& spec, const std::vector<GivenFlag>& given,
                                   bool has_validation);

// Where a run goes that nobody named a folder for: here, under the name of its pictures and "-run",
// with a number behind that from 2 on where that is taken.
std::string FreeRunFolder(const std::string& data);

// Seconds that --time-budget gives: "90", "90s", "9m", "1.5h"; 0 for "". kUsage for what is none.
absl::StatusOr<double> ParseTimeBudget(const std::string& text);

}  // namespace pocketune::cli
