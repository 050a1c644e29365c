#include <gtest/gtest.h>

#include "tests/backends/cpu/conv_cases.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/backends/cpu/kernel_check.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

std::vector<ConvCase> DepthwiseCases() {
  std::vector<ConvCase> cases = Windows();
  cases.push_back({"WholeVectors", 1, 9, 23, 32, 32, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})});
  cases.push_back({"Kernel6", 1, 9, 11, 20, 20, 6, 6, Attributes({1, 1}, {2, 3, 3, 2})});
  cases.push_back({"Wide", 3, 13, 16, 67, 67, 3, 3, Attributes({2, 2}, {1, 1, 1, 1})});
  // Windows that move by one pixel, over borders of all kinds.
  cases.push_back({"Narrow", 5, 25, 5, 64, 64, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})});
  cases.push_back({"OneColumn", 2, 7, 1, 20, 20, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})});
  cases.push_back({"PadBeyond3x3", 2, 4, 5, 19, 19, 3, 3, Attributes({1, 1}, {3, 2, 3, 4})});
  cases.push_back({"Stride2ByRows", 2, 9, 7, 35, 35, 3, 3, Attributes({2, 1}, {1, 1, 0, 2})});
  cases.push_back(
      {"DilatedByRows", 1, 11, 6, 18, 18, 3, 3, Attributes({1, 1}, {2, 2, 1, 0}, {2, 1})});
  cases.push_back({"ManyRows", 3, 29, 7, 43, 43, 5, 5, Attributes({2, 1}, {2, 2, 2, 2})});
  return cases;
}

class DepthwiseTest : public testing::TestWithParam<ConvCase> {
 protected:
  TensorData Input() const { return TensorData::Uniform({GetParam().InputShape()}, "x"); }
  TensorData Filter() const {
    return TensorData::Uniform({GetParam().DepthwiseFilterShape()}, "w");
  }
  TensorData OutputGradient() const {
    return TensorData::Uniform({GetParam().OutputShape(GetParam().in)}, "dy");
  }
};

TEST_P(DepthwiseTest, AgreesWithTheReference) {
  CheckOwnKernel(OpKind::kDepthwiseConv2d, {Input(), Filter()}, GetParam().attrs);
}

TEST_P(DepthwiseTest, AddsTheBiasAndAppliesTheActivation) {
  const TensorData bias = TensorData::Uniform({{GetParam().in}}, "bias");
  ConvAttrs attrs = GetParam().attrs;
  for (int act = 0; act < kActCount; ++act) {
    SCOPED_TRACE(act);
    attrs.act = static_cast<Act>(act);
    CheckOwnKernel(OpKind::kDepthwiseConv2d, {Input(), Filter(), bias}, attrs, 1);
  }
}

TEST_P(DepthwiseTest, OverItsOperandItGivesTheSameBits) {
  const TensorData bias = TensorData::Uniform({{GetParam().in}}, "bias");
  const std::vector<TensorData> operands = {Input(), Filter(), bias};
  const TensorType result = {GetParam().OutputShape(GetParam().in)};
  ConvAttrs attrs = GetParam().attrs;
  attrs.act = Act::kRelu6;
  if (!MayLieOver(OpKind::kDepthwiseConv2d, operands[0].type(), result, attrs)) return;
  for (const Isa isa : IsaLevels()) {
    ASSERT_TRUE(SetIsa(isa).ok());
    for (int threads = 1; threads <= 3; ++threads) {
      KernelRunner cpu(CpuKernels(), threads);
      const TensorData apart = cpu.Run1(OpKind::kDepthwiseConv2d, operands, attrs);
      EXPECT_EQ(cpu.Run1(OpKind::kDepthwiseConv2d, operands, attrs, {.in_place = true}), apart)
          << NameOf(isa) << ", " << threads << " threads";
    }
  }
  ASSERT_TRUE(SetIsa(Isa::kAuto).ok());
}

TEST_P(DepthwiseTest, InputGradientAgreesWithTheReference) {
  const ConvCase& c = GetParam();
  CheckOwnKernel(OpKind::kDepthwiseConv2dGradInput, {OutputGradient(), Filter()},
                 c.GradAttrs(c.height, c.width));
}

TEST_P(DepthwiseTest, FilterGradientAgreesWithTheReference) {
  const ConvCase& c = GetParam();
  CheckOwnKernel(OpKind::kDepthwiseConv2dGradFilter, {OutputGradient(), Input()},
                 c.GradAttrs(c.kernel_h, c.kernel_w));
}

INSTANTIATE_TEST_SUITE_P(Cases, DepthwiseTest, testing::ValuesIn(DepthwiseCases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pocketune::test
