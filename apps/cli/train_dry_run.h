// What a training would take, before it begins.
#pragma once

#include "absl/status/status.h"
#include "apps/cli/common.h"
#include "apps/data/dataset.h"
#include "apps/train/run_spec.h"
#include "pocketune/compiler.h"

namespace pocketune::cli {

// Says memory and time of training `spec` by the plan in the file `plan`, from a few steps on
// random data. Writes nothing.
absl::Status DryRun(const RunSpec& spec, const CommonFlags& flags, const PlanFigures& figures,
                    const std::string& plan, const data::Dataset& dataset);

}  // namespace pocketune::cli
