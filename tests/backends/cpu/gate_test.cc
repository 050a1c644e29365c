// A gradient behind a mask against the gradient that reads the activation.
#include <limits>
#include <string>
#include <vector>

#include "backends/cpu/cpu_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

// Values on, next to and far from the bounds, infinities and NaN among them.
TensorData Corners(int64_t n) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const double corners[] = {0.0, -0.0, 1e-40, 6.0, 5.9999995, -1.0, 2.5, kInf, -kInf, kInf - kInf};
  TensorData x({{n}});
  for (int64_t i = 0; i < n; ++i) x.Set(i, corners[i * 7 % 10]);
  return x;
}

class GateTest : public IsaTest {};

TEST_P(GateTest, AMaskedGradientHasTheBitsOfTheGradientThatReadsTheActivation) {
  struct Case {
    OpKind grad;
    Attrs grad_attrs;
    GateAttrs gate;
  };
  const Case cases[] = {
      {OpKind::kReluGrad, NoAttrs(), {Act::kRelu}},
      {OpKind::kRelu6Grad, NoAttrs(), {Act::kRelu6}},
      {OpKind::kClampGrad, ClampAttrs{-1, 2.5}, {Act::kNone, -1, 2.5}},
  };
  KernelRunner cpu(CpuKernels(), 2);
  for (const int64_t n : {1, 7, 8, 9, 15, 16, 17, 31, 33, 64, 101, 32768, 32777, 70001}) {
    const TensorData saved = Corners(n), dy = TensorData::Uniform({{n}}, "dy");
    for (const Case& c : cases) {
      SCOPED_TRACE(std::string(InfoOf(c.grad).name) + " of " + std::to_string(n));
      const TensorData mask = cpu.Run1(OpKind::kGateMask, {saved}, c.gate);
      EXPECT_EQ(mask.bytes().size(), (n + 7) / 8);
      EXPECT_EQ(cpu.Run1(OpKind::kGateGrad, {dy, mask}, NoAttrs()),
                cpu.Run1(c.grad, {dy, saved}, c.grad_attrs));
    }
  }
}

PT_INSTANTIATE_FOR_ISA_LEVELS(GateTest);

}  // namespace
}  // namespace pocketune::test
