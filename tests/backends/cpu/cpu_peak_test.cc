#include "backends/cpu/cpu_peak.h"

#include <cmath>

#include "tests/backends/cpu/isa_levels.h"

namespace pocketune {
namespace {

using CpuPeakTest = test::IsaTest;

TEST_P(CpuPeakTest, GivesRatesThatAProcessorCanHave) {
  ThreadPool pool(2);
  Result<CpuPeak> peak = MeasureCpuPeak(pool);
  ASSERT_TRUE(peak.ok()) << peak.status().message();
  for (const double rate : {peak->gflops, peak->copy_gbs}) {
    EXPECT_GT(rate, 1e-3);
    EXPECT_LT(rate, 1e6);
  }
}

PT_INSTANTIATE_FOR_ISA_LEVELS(CpuPeakTest);

}  // namespace
}  // namespace pocketune
