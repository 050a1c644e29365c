#include <gtest/gtest.h>

#include "tests/backends/cpu/conv_cases.h"
#include "tests/backends/cpu/kernel_check.h"

namespace pocketune::test {
namespace {

std::vector<ConvCase> DepthwiseCases() {
  std::vector<ConvCase> cases = Windows();
  cases.push_back({"WholeVectors", 1, 9, 23, 32, 32, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})});
  cases.push_back({"Kernel6", 1, 9, 11, 20, 20, 6, 6, Attributes({1, 1}, {2, 3, 3, 2})});
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
