// Peak memory of a plan, measured in a child process that only opens the plan file and steps.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace pocketune::cli {

// First argument that makes this program the child.
inline constexpr char kMeasureCommand[] = "measure-child";

struct Measurement {
  int64_t baseline_rss_bytes = 0;   // just before the plan is opened
  int64_t measured_peak_bytes = 0;  // high-water mark minus the baseline
  int64_t packed_bytes = 0;
  double first_step_ms = 0.0;  // from before opening the plan to the end of the first step
  double start_ms = 0.0;       // from before the child was started to the end of the first step
};

// Runs `steps` training steps (evaluation steps where the plan cannot train) on random data;
// `input_bytes` as RandomInputs::InputBytes.
absl::StatusOr<Measurement> MeasurePlan(const std::string& plan_path, int threads,
                                        const std::string& isa, int steps, int64_t input_bytes);

// The child's main; prints the figures to stdout, or why there are none.
int MeasureMain(int argc, char** argv);

}  // namespace pocketune::cli
