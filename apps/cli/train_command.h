// A training run from the flags to the last line.
#pragma once

#include "absl/status/status.h"
#include "apps/cli/common.h"
#include "apps/cli/train_flags.h"

namespace pocketune::cli {

// Begins the run, or goes on with the one in `train.out`, or says what it would take. Errors carry
// exit codes.
absl::Status RunTraining(const RunSpec& spec, const TrainFlags& train, const CommonFlags& flags);

}  // namespace pocketune::cli
