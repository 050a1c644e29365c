// Learning rate as a function of the step.
#pragma once

#include <cstdint>
#include <string_view>

#include "pocketune/status.h"

namespace pocketune {

// How the rate goes from the first step of a training to its last. A plain value; any thread.
struct LrSchedule {
  enum class Kind : uint8_t { kConstant, kStep, kCosine, kLinear };

  Kind kind = Kind::kCosine;
  double base = 0.01;           // > 0
  int64_t total_steps = 1;      // cosine and linear reach `final_fraction` * base after these
  int64_t warmup_steps = 0;     // linear from base / warmup_steps up to base
  int64_t step_every = 1;       // kStep: times `gamma` after each so many steps
  double gamma = 0.1;           // finite
  double final_fraction = 0.0;  // of `base`, in [0, 1]

  // Rate of a step, counted from 0. Cosine: base (f + (1 - f) (1 + cos(pi t / T)) / 2) with t steps
  // of T = total - warmup gone (Loshchilov and Hutter, ICLR 2017, equation 5).
  double At(int64_t step) const;
};

// "constant", "step", "cosine", "linear"; INVALID_ARGUMENT for other names.
Result<LrSchedule::Kind> ParseLrKind(std::string_view text);

}  // namespace pocketune
