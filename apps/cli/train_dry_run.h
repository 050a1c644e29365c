// What a training would take, before it begins.
#pragma once

#include "absl/status/status.h"
#include "apps/cli/common.h"
#include "apps/data/dataset.h"
#include "pocketune/compiler.h"

namespace pocketune::cli {

// Says memory and time of training `spec` by `plan`, from a few steps on random data; writes
// nothing but a temporary plan.
absl::Status DryRun(const RunSpec& spec, const CommonFlags& flags, const Plan& plan,
                    const data::Dataset& dataset);

}  // namespace pocketune::cli
