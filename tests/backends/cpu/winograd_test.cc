// Convolutions through Winograd's algorithm against the reference, at every instruction-set level.
#include "backends/cpu/kernels/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/backends/cpu/conv_cases.h"
#include "tests/backends/cpu/kernel_check.h"

namespace pocketune::test {
namespace {

std::vector<ConvCase> WinogradCases() {
  const ConvAttrs same = Attributes({1, 1}, {1, 1, 1, 1});
  return {
      {"Same", 3, 13, 11, 32, 48, 3, 3, same},
      {"WholeTiles", 1, 8, 12, 48, 32, 3, 3, same},
      {"Valid", 1, 15, 9, 37, 41, 3, 3, Attributes({1, 1}, {0, 0, 0, 0})},
      {"BottomRight", 3, 10, 6, 33, 35, 3, 3, Attributes({1, 1}, {0, 1, 0, 1})},
      {"TopLeft", 1, 7, 14, 40, 67, 3, 3, Attributes({1, 1}, {1, 0, 1, 0})},
      {"PadBeyondKernel", 1, 5, 6, 32, 32, 3, 3, Attributes({1, 1}, {3, 2, 4, 3})},
      {"SmallerThanATile", 3, 2, 3, 32, 32, 3, 3, same},
      {"ManyTiles", 3, 41, 38, 32, 40, 3, 3, same},
      {"ManyTilesOfManyChannels", 3, 23, 22, 131, 163, 3, 3, same},
      {"DeeperThanABlock", 1, 9, 10, 300, 72, 3, 3, same},
  };
}

class WinogradTest : public testing::TestWithParam<ConvCase> {
 protected:
  void Check(OpKind op, const char* kernel, const std::vector<TensorData>& operands,
             const Attrs& attrs, int max_threads) {
    RunOptions options;
    options.kernel = kernel;
    CheckKernel(op, operands, attrs, ReferenceResults(op, operands, attrs), options, max_threads,
                1e-5);
  }

  TensorData Input() const { return TensorData::Uniform({GetParam().InputShape()}, "x"); }
  TensorData Filter() const { return TensorData::Uniform({GetParam().FilterShape()}, "w"); }
  TensorData OutputGradient() const {
    return TensorData::Uniform({GetParam().OutputShape(GetParam().out)}, "dy");
  }
};

TEST_P(WinogradTest, AgreesWithTheReference) {
  Check(OpKind::kConv2d, "cpu.conv2d_winograd", {Input(), Filter()}, GetParam().attrs, 4);
}

TEST_P(WinogradTest, AddsTheBiasAndAppliesTheActivation) {
  const TensorData bias = TensorData::Uniform({{GetParam().out}}, "bias");
  // Sums of the size that the activations bend.
  const TensorData filter = TensorData::Uniform({GetParam().FilterShape()}, "w", -0.2, 0.2);
  ConvAttrs attrs = GetParam().attrs;
  for (Act act : {Act::kRelu, Act::kRelu6, Act::kHardSwish}) {
    SCOPED_TRACE(int(act));
    attrs.act = act;
    Check(OpKind::kConv2d, "cpu.conv2d_winograd", {Input(), filter, bias}, attrs, 1);
  }
}

TEST_P(WinogradTest, InputGradientAgreesWithTheReference) {
  const ConvCase& c = GetParam();
  Check(OpKind::kConv2dGradInput, "cpu.conv2d_grad_input_winograd", {OutputGradient(), Filter()},
        c.GradAttrs(c.height, c.width), 4);
}

TEST_P(WinogradTest, FilterGradientAgreesWithTheReference) {
  Check(OpKind::kConv2dGradFilter, "cpu.conv2d_grad_filter_winograd", {OutputGradient(), Input()},
        GetParam().GradAttrs(3, 3), 4);
}

INSTANTIATE_TEST_SUITE_P(Cases, WinogradTest, testing::ValuesIn(WinogradCases()),
                         [](const auto& info) { return std::string(info.param.name); });

// The kernel that serves a convolution, weights that learn or frozen ones.
std::string KernelFor(const ConvCase& c, uint32_t constant_operands = 0) {
  const TensorType operands[] = {{c.InputShape()}, {c.FilterShape()}};
  const TensorType results[] = {{c.OutputShape(c.out)}};
  const Attrs attrs = c.attrs;
  return SelectKernel(CpuKernels(), {OpKind::kConv2d, operands, results, &attrs, constant_operands,
                                     Isa::kAuto, 1})
      ->name;
}

TEST(WinogradChoiceTest, ServesThreeByThreeTapsOfManyChannels) {
  const ConvAttrs same = Attributes({1, 1}, {1, 1, 1, 1});
  const ConvCase wide = {"wide", 4, 28, 28, 128, 128, 3, 3, same};
  EXPECT_EQ(KernelFor(wide), "cpu.conv2d_winograd");
  EXPECT_EQ(KernelFor(wide, 0b10), "cpu.conv2d_winograd") << "frozen weights";
  EXPECT_EQ(KernelFor({"few channels", 4, 28, 28, 16, 16, 3, 3, same}), "cpu.conv2d");
  EXPECT_EQ(KernelFor({"small image", 1, 16, 16, 32, 32, 3, 3, same}), "cpu.conv2d");
  EXPECT_EQ(KernelFor({"empty tiles", 16, 5, 5, 256, 256, 3, 3, same}), "cpu.conv2d");
  EXPECT_EQ(KernelFor({"few tiles", 1, 7, 7, 128, 128, 3, 3, same}), "cpu.conv2d");
}

TEST(WinogradChoiceTest, LeavesOtherWindowsToTheDirectProduct) {
  const ConvCase cases[] = {
      {"stride", 4, 28, 28, 128, 128, 3, 3, Attributes({2, 2}, {1, 1, 1, 1})},
      {"dilation", 4, 28, 28, 128, 128, 3, 3, Attributes({1, 1}, {2, 2, 2, 2}, {2, 2})},
      {"groups", 4, 28, 28, 128, 128, 3, 3, Attributes({1, 1}, {1, 1, 1, 1}, {1, 1}, 2)},
      {"taps", 4, 28, 28, 128, 128, 3, 5, Attributes({1, 1}, {1, 1, 2, 2})},
  };
  for (const ConvCase& c : cases) EXPECT_EQ(KernelFor(c), "cpu.conv2d") << c;
}

}  // namespace
}  // namespace pocketune::test
