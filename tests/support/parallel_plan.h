// The tiny plan on kernels that use all threads.
#pragma once

#include "engine/base/math.h"
#include "tests/support/test_kernels.h"
#include "tests/support/tiny_plan.h"

namespace pocketune::test {

// Gives all matrix products of both schedules to the parallel kernel, with its scratch behind all
// else. Needs TestKernels beside the reference kernels.
inline PlanSpec ParallelPlan() {
  PlanSpec spec = TinyPlan();
  constexpr int64_t kScratch = 4 * kTinyHidden * sizeof(float);
  for (ScheduleSpec& schedule : spec.schedules) {
    for (StepSpec& step : schedule.steps) {
      if (step.op != "matmul") continue;
      step.kernel = "test.matmul_parallel";
      step.scratch_offset = spec.arena_bytes;
      step.scratch_bytes = kScratch;
    }
  }
  spec.arena_bytes += AlignUp(kScratch);
  return spec;
}

}  // namespace pocketune::test
