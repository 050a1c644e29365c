// The compiler's figures, for people and for JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/cli/common.h"
#include "apps/cli/measure.h"
#include "pocketune/compiler.h"

namespace pocketune::cli {

nlohmann::json ToJson(const PlanFigures& figures);
std::vector<std::string> FigureLines(const PlanFigures& figures);

// The fields that `bench` and `train` share: model, scheme, flags, figures, memory and step times.
nlohmann::json RunJson(const RunSpec& spec, const CommonFlags& flags, const PlanFigures& figures,
                       const Measurement& memory, const std::vector<double>& step_ms);

}  // namespace pocketune::cli
