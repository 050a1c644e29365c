// Memory against time, over the plans that the compiler finds for a model.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/cli/common.h"
#include "apps/train/run_spec.h"
#include "pocketune/compiler.h"

namespace pocketune::cli {

// Finds the plans of the model that `spec` names, says them, and draws them to the file `svg_path`.
absl::Status InspectPareto(const RunSpec& spec, const CommonFlags& flags,
                           const std::string& svg_path);

// A picture of its own: step time by the cost model over the predicted peak. Needs a point.
std::string ParetoSvg(const std::vector<ParetoPoint>& points, const std::string& title);

}  // namespace pocketune::cli
