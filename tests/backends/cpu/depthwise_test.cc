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
  // Windows that move by two, the pads of "same" in TensorFlow among them.
  cases.push_back({"Stride2Odd", 2, 15, 13, 48, 48, 3, 3, Attributes({2, 2}, {1, 1, 1, 1})});
  cases.push_back({"Stride2Even", 2, 14, 16, 20, 20, 3, 3, Attributes({2, 2}, {1, 1, 1, 1})});
  cases.push_back({"Stride2Same", 1, 12, 10, 37, 37, 3, 3, Attributes({2, 2}, {0, 1, 0, 1})});
  cases.push_back({"Stride2TopLeft", 1, 12, 11, 17, 17, 3, 3, Attributes({2, 2}, {1, 0, 2, 0})});
  cases.push_back({"Stride2ByColumns", 1, 7, 9, 33, 33, 3, 3, Attributes({1, 2}, {1, 1, 1, 0})});
  cases.push_back({"Stride2PadBeyond", 1, 4, 5, 19, 19, 3, 3, Attributes({2, 2}, {4, 3, 3, 4})});
  cases.push_back(
      {"Stride2DilatedByRows", 1, 11, 8, 18, 18, 3, 3, Attributes({2, 2}, {3, 2, 1, 1}, {3, 1})});
  // Five and seven columns, with more rows and fewer.
  cases.push_back({"Kernel5", 2, 9, 14, 33, 33, 5, 5, Attributes({1, 1}, {2, 2, 2, 2})});
  cases.push_back(
      {"Kernel5Stride2Same", 1, 12, 10, 20, 20, 5, 5, Attributes({2, 2}, {1, 2, 1, 2})});
  cases.push_back({"Kernel7Stride2", 1, 13, 16, 37, 37, 7, 7, Attributes({2, 2}, {3, 3, 3, 3})});
  cases.push_back({"Kernel7x5", 1, 9, 11, 17, 17, 7, 5, Attributes({1, 1}, {3, 3, 2, 2})});
  cases.push_back({"Kernel3x7", 1, 9, 11, 17, 17, 3, 7, Attributes({1, 2}, {1, 1, 3, 3})});
  cases.push_back({"Kernel7x3", 1, 9, 11, 17, 17, 7, 3, Attributes({2, 2}, {3, 3, 1, 1})});
  cases.push_back({"Kernel1x5", 1, 7, 11, 17, 17, 1, 5, Attributes({2, 2}, {0, 0, 2, 2})});
  cases.push_back(
      {"Kernel5DilatedByRows", 1, 11, 9, 18, 18, 3, 5, Attributes({2, 2}, {2, 2, 2, 1}, {2, 1})});
  // More than caches hold.
  cases.push_back({"FromMemory", 1, 49, 48, 117, 117, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})});
  cases.push_back({"FromMemoryStride2", 2, 47, 46, 98, 98, 3, 3, Attributes({2, 2}, {1, 1, 1, 1})});
  cases.push_back(
      {"FromMemoryKernel5", 1, 40, 54, 197, 197, 5, 5, Attributes({2, 2}, {2, 2, 2, 2})});
  cases.push_back({"ManyRows", 3, 29, 7, 43, 43, 5, 5, Attributes({2, 1}, {2, 2, 2, 2})});
  return cases;
}

void CheckAllDirections(const ConvCase& c, int max_threads) {
  const TensorData x = TensorData::Uniform({c.InputShape()}, "x");
  const TensorData w = TensorData::Uniform({c.DepthwiseFilterShape()}, "w");
  const TensorData dy = TensorData::Uniform({c.OutputShape(c.in)}, "dy");
  const ConvGradAttrs dx = c.GradAttrs(c.height, c.width);
  const ConvGradAttrs dw = c.GradAttrs(c.kernel_h, c.kernel_w);
  SCOPED_TRACE("forward");
  CheckOwnKernel(OpKind::kDepthwiseConv2d, {x, w}, c.attrs, max_threads);
  SCOPED_TRACE("and dx");
  CheckOwnKernel(OpKind::kDepthwiseConv2dGradInput, {dy, w}, dx, max_threads);
  SCOPED_TRACE("and dw");
  CheckOwnKernel(OpKind::kDepthwiseConv2dGradFilter, {dy, x}, dw, max_threads);
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

TEST(DepthwiseSizesTest, AnyNumberOfChannels) {
  for (const int stride : {1, 2}) {
    for (int64_t channels = 1; channels <= 40; ++channels) {
      SCOPED_TRACE(testing::Message() << "stride " << stride << ", channels " << channels);
      CheckAllDirections(
          {"", 1, 5, 6, channels, channels, 3, 3, Attributes({stride, stride}, {1, 1, 1, 1})}, 1);
    }
  }
}

// Smaller than the window too; rows and columns meet different sizes and pads.
class DepthwiseKernelSizeTest : public testing::TestWithParam<int> {};

TEST_P(DepthwiseKernelSizeTest, AnySizeOfImageAndAnyPads) {
  constexpr int kSizes = 7, kPads = 4;
  const int kernel = GetParam();
  for (const int stride : {1, 2}) {
    for (int i = 0; i < kSizes * kPads * kPads; ++i) {
      const int width = 1 + i % kSizes, height = 1 + (i + stride) * 3 % kSizes;
      const int left = i / kSizes % kPads, right = i / kSizes / kPads;
      const int top = right, bottom = (left + i) % kPads;
      if (width + left + right < kernel || height + top + bottom < kernel) continue;
      SCOPED_TRACE(testing::Message() << "stride " << stride << ", case " << i);
      const ConvAttrs attrs = Attributes({stride, stride}, {top, bottom, left, right});
      CheckAllDirections({"", 2, height, width, 5, 5, kernel, kernel, attrs}, 1);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, DepthwiseKernelSizeTest, testing::Range(1, 8),
                         testing::PrintToStringParamName());

INSTANTIATE_TEST_SUITE_P(Cases, DepthwiseTest, testing::ValuesIn(DepthwiseCases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pocketune::test
