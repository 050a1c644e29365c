#include <cmath>
#include <limits>

#include "backends/cpu/cpu_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class LossTest : public IsaTest {
 protected:
  TensorData Loss(const TensorData& logits, const TensorData& labels, const TensorData& weight) {
    return cpu_.Run1(OpKind::kSoftmaxCrossEntropy, {logits, labels, weight}, LossAttrs());
  }
  TensorData LossGrad(const TensorData& logits, const TensorData& labels,
                      const TensorData& weight) {
    return cpu_.Run1(OpKind::kSoftmaxCrossEntropyGrad,
                     {TensorData({}, {1}), logits, labels, weight}, LossAttrs());
  }
  uint32_t faults() const { return cpu_.page.faults.load(); }

  KernelRunner cpu_{CpuKernels()};
};

TEST_P(LossTest, PaddingIsNotRead) {
  const TensorData logits({2, 3}, {0, 0, 0, kNan, kNan, kNan});
  const TensorData labels({2}, {1, -7}, DType::kI32), weight({2}, {1, 0});
  EXPECT_NEAR(Loss(logits, labels, weight)[0], std::log(3), 1e-6);
  const TensorData grad = LossGrad(logits, labels, weight);
  EXPECT_NEAR(grad[1], -2.0 / 3, 1e-6);
  for (int64_t i = 3; i < 6; ++i) EXPECT_EQ(grad[i], 0);
  const TensorData target({2, 3}, {0, 0, 3, 0, 0, 0});
  EXPECT_NEAR(cpu_.Run1(OpKind::kMeanSquaredError, {logits, target, weight}, NoAttrs())[0], 3,
              1e-6);
  EXPECT_EQ(faults(), 0u);
}

TEST_P(LossTest, ALabelThatIsNoClassIsAFault) {
  const TensorData logits({2, 3}, {0, 0, 0, 0, 0, 0}), weight({2}, {1, 1});
  for (double label : {-1, 3}) {
    cpu_.page.faults = 0;
    const TensorData labels({2}, {1, label}, DType::kI32);
    EXPECT_TRUE(std::isfinite(Loss(logits, labels, weight)[0]));
    EXPECT_EQ(faults(), kFaultLabel);
    cpu_.page.faults = 0;
    EXPECT_EQ(LossGrad(logits, labels, weight)[3], 0);
    EXPECT_EQ(faults(), kFaultLabel);
  }
}

TEST_P(LossTest, ALossThatIsNotFiniteIsAFault) {
  const TensorData labels({1}, {1}, DType::kI32), weight({1}, {1});
  Loss(TensorData({1, 3}, {0, kNan, 0}), labels, weight);
  EXPECT_EQ(faults(), kFaultLoss);
}

TEST_P(LossTest, LargeLogitsDoNotOverflow) {
  const TensorData labels({1}, {0}, DType::kI32), weight({1}, {1});
  EXPECT_NEAR(Loss(TensorData({1, 2}, {-1e4, 1e4}), labels, weight)[0], 2e4, 1e-2);
  EXPECT_EQ(faults(), 0u);
}

PT_INSTANTIATE_FOR_ISA_LEVELS(LossTest);

}  // namespace
}  // namespace pocketune::test
