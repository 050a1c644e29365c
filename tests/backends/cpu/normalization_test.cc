#include "backends/cpu/cpu_kernels.h"
#include "backends/reference/reference_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

class NormalizationTest : public IsaTest {};

// E[x^2] - E[x]^2 in float would leave no correct digit of this variance.
TEST_P(NormalizationTest, VarianceSurvivesALargeMean) {
  const TensorData x = TensorData::Uniform({{16411, 3}}, "x", 4095, 4097);
  const TensorData scale({3}, {1, 2, 3}), shift({3}, {0, 0, 1});
  const NormAttrs attrs;
  const auto got = KernelRunner(CpuKernels()).Run(OpKind::kBatchNorm, {x, scale, shift}, attrs);
  const auto want =
      KernelRunner(ReferenceKernels())
          .Run(OpKind::kBatchNorm,
               {x.As(DType::kF64), scale.As(DType::kF64), shift.As(DType::kF64)}, attrs);
  EXPECT_LE(RelativeError(got[1], want[1]), 1e-7);
  EXPECT_LE(RelativeError(got[2], want[2]), 1e-5);
}

PT_INSTANTIATE_FOR_ISA_LEVELS(NormalizationTest);

}  // namespace
}  // namespace pocketune::test
