#include <gtest/gtest.h>

#include "tests/backends/cpu/conv_cases.h"
#include "tests/backends/cpu/kernel_check.h"

namespace pocketune::test {
namespace {

std::vector<ConvCase> DenseCases() {
  std::vector<ConvCase> cases = Windows();
  cases.push_back({"Grouped", 1, 7, 5, 6, 15, 3, 3, Attributes({2, 1}, {1, 1, 1, 1}, {1, 1}, 3)});
  cases.push_back(
      {"GroupedPointwise", 2, 3, 5, 14, 6, 1, 1, Attributes({1, 1}, {0, 0, 0, 0}, {1, 1}, 2)});
  cases.push_back({"ManyChannels", 1, 5, 5, 67, 131, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})});
  cases.push_back({"ManyPixels", 2, 41, 37, 3, 8, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})});
  cases.push_back({"LongDepth", 1, 4, 4, 300, 17, 3, 3, Attributes({2, 2}, {1, 1, 1, 1})});
  // Filter gradients: transposed, over more pixels than a block is deep, odd numbers of rows.
  cases.push_back({"WidePointwise", 2, 23, 19, 5, 48, 1, 1, Attributes({1, 1}, {0, 0, 0, 0})});
  // An image larger than the scratch of its filter's gradient, whose patches are packed once.
  cases.push_back(
      {"LargePointwiseStride2", 8, 40, 40, 32, 64, 1, 1, Attributes({2, 2}, {0, 0, 0, 0})});
  cases.push_back({"NarrowPointwise", 2, 23, 19, 64, 7, 1, 1, Attributes({1, 1}, {0, 0, 0, 0})});
  // Small patches, which are gathered whole, and image rows long enough to be read in place.
  cases.push_back({"FirstLayer", 2, 45, 51, 3, 16, 3, 3, Attributes({2, 2}, {0, 1, 0, 1})});
  cases.push_back({"FirstLayer7x7", 1, 31, 43, 3, 24, 7, 7, Attributes({2, 2}, {3, 3, 3, 3})});
  // Strips over several images, with rows between taps, with rows that nothing reads.
  cases.push_back({"Spectrograms", 5, 49, 10, 1, 40, 10, 4, Attributes({2, 2}, {4, 5, 1, 1})});
  cases.push_back({"DilatedRows", 3, 19, 9, 2, 17, 3, 2, Attributes({2, 1}, {2, 3, 1, 0}, {3, 1})});
  cases.push_back({"SkippedRows", 4, 23, 7, 3, 18, 2, 3, Attributes({5, 1}, {0, 0, 1, 1})});
  cases.push_back({"LongRows", 1, 9, 67, 16, 24, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})});
  return cases;
}

class Conv2dTest : public testing::TestWithParam<ConvCase> {
 protected:
  TensorData Input() const { return TensorData::Uniform({GetParam().InputShape()}, "x"); }
  TensorData Filter() const { return TensorData::Uniform({GetParam().FilterShape()}, "w"); }
  TensorData OutputGradient() const {
    return TensorData::Uniform({GetParam().OutputShape(GetParam().out)}, "dy");
  }
};

TEST_P(Conv2dTest, AgreesWithTheReference) {
  CheckOwnKernel(OpKind::kConv2d, {Input(), Filter()}, GetParam().attrs);
}

TEST_P(Conv2dTest, AddsTheBiasAndAppliesTheActivation) {
  const TensorData bias = TensorData::Uniform({{GetParam().out}}, "bias");
  ConvAttrs attrs = GetParam().attrs;
  for (int act = 0; act < kActCount; ++act) {
    SCOPED_TRACE(act);
    attrs.act = static_cast<Act>(act);
    CheckOwnKernel(OpKind::kConv2d, {Input(), Filter(), bias}, attrs, 1);
  }
}

TEST_P(Conv2dTest, InputGradientAgreesWithTheReference) {
  const ConvCase& c = GetParam();
  CheckOwnKernel(OpKind::kConv2dGradInput, {OutputGradient(), Filter()},
                 c.GradAttrs(c.height, c.width));
}

TEST_P(Conv2dTest, FilterGradientAgreesWithTheReference) {
  const ConvCase& c = GetParam();
  CheckOwnKernel(OpKind::kConv2dGradFilter, {OutputGradient(), Input()},
                 c.GradAttrs(c.kernel_h, c.kernel_w));
}

INSTANTIATE_TEST_SUITE_P(Cases, Conv2dTest, testing::ValuesIn(DenseCases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pocketune::test
