#include "pocketune/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pocketune {

double LrSchedule::At(int64_t step) const {
  if (step < warmup_steps) {
    return base * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  }
  const int64_t gone = step - warmup_steps;
  const int64_t span = std::max<int64_t>(total_steps - warmup_steps, 1);
  const double t = std::min(1.0, static_cast<double>(gone) / static_cast<double>(span));
  switch (kind) {
    case Kind::kConstant:
      return base;
    case Kind::kStep:
      return base * std::pow(gamma, static_cast<double>(gone / std::max<int64_t>(step_every, 1)));
    case Kind::kCosine:
      return base *
             (final_fraction + (1 - final_fraction) * 0.5 * (1 + std::cos(std::numbers::pi * t)));
    case Kind::kLinear:
      return base * (1 + (final_fraction - 1) * t);
  }
  return base;
}

Result<LrSchedule::Kind> ParseLrKind(std::string_view text) {
  if (text == "constant") return LrSchedule::Kind::kConstant;
  if (text == "step") return LrSchedule::Kind::kStep;
  if (text == "cosine") return LrSchedule::Kind::kCosine;
  if (text == "linear") return LrSchedule::Kind::kLinear;
  return Status(StatusCode::kInvalidArgument,
                "unknown schedule (want constant, step, cosine or linear)");
}

}  // namespace pocketune
