// The compiler's figures, for people and for JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/cli/common.h"
#include "apps/cli/measure.h"
#include "apps/train/evaluator.h"
#include "apps/train/run_spec.h"
#include "pocketune/compiler.h"

namespace pocketune::cli {

nlohmann::json ToJson(const PlanFigures& figures);
// What ToJson gave; throws where it is of another kind.
PlanFigures FiguresFromJson(const nlohmann::json& json);
std::vector<std::string> FigureLines(const PlanFigures& figures);

// "balanced accuracy 50.0 %, macro-F1 48.7 %".
std::string BalancedText(const Evaluation& eval);

// The fields that `bench` and `train` share: model, scheme, flags, figures and step times; those of
// the plan's memory and start are null until AddMeasurement. `process_peak_bytes` is of this
// process up to here.
nlohmann::json RunJson(const RunSpec& spec, const CommonFlags& flags, const PlanFigures& figures,
                       const std::vector<double>& step_ms);
void AddMeasurement(const Measurement& memory, nlohmann::json* json);
// Says the process's peak and the plan's, of such an object.
void SayPeak(const CommonFlags& flags, const nlohmann::json& json);

}  // namespace pocketune::cli
