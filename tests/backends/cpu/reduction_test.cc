#include <cmath>
#include <limits>

#include "backends/cpu/cpu_kernels.h"
#include "backends/reference/reference_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

class ReductionTest : public IsaTest {
 protected:
  KernelRunner cpu_{CpuKernels()};
};

TEST_P(ReductionTest, SumsAMillionElementsToAMillionth) {
  for (const auto& [shape, axes] :
       {std::pair<Shape, uint32_t>{{1000003}, 1}, {{1000003, 1}, 1}, {{333341, 3}, 1}}) {
    const TensorData x = TensorData::Uniform({shape}, "x", 0, 1);
    const ReduceAttrs attrs{axes, false};
    const TensorData want =
        KernelRunner(ReferenceKernels()).Run1(OpKind::kReduceSum, {x.As(DType::kF64)}, attrs);
    EXPECT_LE(RelativeError(cpu_.Run1(OpKind::kReduceSum, {x}, attrs), want), 1e-6);
  }
}

TEST_P(ReductionTest, MaximumOfANanIsNan) {
  for (int64_t at : {0, 1, 16, 99}) {
    TensorData x = TensorData::Uniform({{100, 1}}, "x");
    x.Set(at, std::numeric_limits<double>::quiet_NaN());
    const ReduceAttrs rows{1, false};
    EXPECT_TRUE(std::isnan(cpu_.Run1(OpKind::kReduceMax, {x}, rows)[0]));
    TensorData columns({100, 3}, std::vector<double>(300, 1.0));
    columns.Set(at * 3 + 1, std::numeric_limits<double>::quiet_NaN());
    const TensorData y = cpu_.Run1(OpKind::kReduceMax, {columns}, rows);
    EXPECT_EQ(y[0], 1);
    EXPECT_TRUE(std::isnan(y[1]));
  }
}

PT_INSTANTIATE_FOR_ISA_LEVELS(ReductionTest);

}  // namespace
}  // namespace pocketune::test
