// Convolutions, matrix products, pooling and batch normalization of the reference backend, against
// numbers worked out by hand.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "backends/reference/reference_kernels.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/tensor_data.h"

namespace pocketune::test {
namespace {

using ::testing::ElementsAre;

constexpr DType kF64 = DType::kF64;

std::vector<double> Iota(int64_t n) {
  std::vector<double> values;
  for (int64_t i = 1; i <= n; ++i) values.push_back(double(i));
  return values;
}

class ReferenceConvTest : public ::testing::Test {
 protected:
  KernelRunner run_{ReferenceKernels()};
};

using ReferenceMatmulTest = ReferenceConvTest;
using ReferencePoolTest = ReferenceConvTest;
using ReferenceNormTest = ReferenceConvTest;

// 4x4 input 1..16, a 3x3 kernel of ones, stride 2.
TEST_F(ReferenceConvTest, SamePaddingOfTensorFlowLiesAtBottomAndRight) {
  ConvAttrs a;
  a.stride[0] = a.stride[1] = 2;
  a.pad[1] = a.pad[3] = 1;
  const TensorData x({1, 4, 4, 1}, Iota(16));
  const TensorData w({1, 3, 3, 1}, std::vector<double>(9, 1));
  EXPECT_THAT(run_.Run1(OpKind::kConv2d, {x, w}, a).Values(), ElementsAre(54, 45, 72, 54));
}

TEST_F(ReferenceConvTest, SymmetricPaddingLiesOnBothSides) {
  ConvAttrs a;
  a.stride[0] = a.stride[1] = 2;
  for (int32_t& pad : a.pad) pad = 1;
  const TensorData x({1, 4, 4, 1}, Iota(16));
  const TensorData w({3, 3, 1}, std::vector<double>(9, 1));
  EXPECT_THAT(run_.Run1(OpKind::kDepthwiseConv2d, {x, w}, a).Values(), ElementsAre(14, 30, 57, 99));
}

TEST_F(ReferenceConvTest, GroupsSeeTheirOwnChannelsAlone) {
  ConvAttrs a;
  a.groups = 2;
  const TensorData x({1, 1, 1, 4}, {1, 2, 3, 4});
  const TensorData w({2, 1, 1, 2}, {10, 100, 1000, 10000});
  EXPECT_THAT(run_.Run1(OpKind::kConv2d, {x, w}, a).Values(), ElementsAre(210, 43000));
}

TEST_F(ReferenceConvTest, DilationSpreadsTheKernel) {
  ConvAttrs a;
  a.dilation[1] = 2;
  const TensorData x({1, 1, 5, 1}, Iota(5));
  const TensorData w({1, 1, 2, 1}, {1, 10});
  EXPECT_THAT(run_.Run1(OpKind::kConv2d, {x, w}, a).Values(), ElementsAre(31, 42, 53));
}

TEST_F(ReferenceConvTest, AppliesBiasThenActivation) {
  ConvAttrs a;
  a.act = Act::kRelu6;
  const TensorData x({1, 1, 3, 1}, {-1, 1, 3});
  const TensorData w({2, 1, 1, 1}, {1, 2});
  const TensorData bias({2}, {0.5, 1});
  EXPECT_THAT(run_.Run1(OpKind::kConv2d, {x, w, bias}, a).Values(),
              ElementsAre(0, 0, 1.5, 3, 3.5, 6));
}

struct ConvCase {
  Shape x, w;
  int stride[2], pad[4], dilation[2], groups;
};

const ConvCase kCases[] = {
    {{2, 7, 5, 3}, {5, 3, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {{2, 8, 7, 3}, {5, 3, 3, 3}, {2, 2}, {0, 1, 1, 1}, {1, 1}, 1},
    {{1, 11, 7, 6}, {4, 3, 2, 3}, {2, 3}, {0, 3, 2, 0}, {2, 1}, 2},
    {{3, 1, 1, 7}, {5, 1, 1, 7}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
    {{1, 5, 5, 2}, {2, 7, 7, 2}, {3, 2}, {4, 1, 3, 3}, {1, 1}, 1},
};

// The convolution is linear in x and in w, so its gradients are its adjoints:
// <dy, conv(x, w)> = <dx, x> = <dw, w>.
TEST_F(ReferenceConvTest, GradientsAreTheAdjointsOfTheConvolution) {
  for (const ConvCase& c : kCases) {
    ConvAttrs a;
    ConvGradAttrs g;
    std::copy_n(c.stride, 2, a.stride);
    std::copy_n(c.pad, 4, a.pad);
    std::copy_n(c.dilation, 2, a.dilation);
    std::copy_n(c.stride, 2, g.stride);
    std::copy_n(c.pad, 4, g.pad);
    std::copy_n(c.dilation, 2, g.dilation);
    a.groups = g.groups = c.groups;
    const TensorData x = TensorData::Uniform({c.x, kF64}, "x");
    const TensorData w = TensorData::Uniform({c.w, kF64}, "w");
    const TensorData y = run_.Run1(OpKind::kConv2d, {x, w}, a);
    const TensorData dy = TensorData::Uniform(y.type(), "dy");
    const double product = InnerProduct(dy, y);
    g.size[0] = int32_t(c.x[1]);
    g.size[1] = int32_t(c.x[2]);
    EXPECT_NEAR(InnerProduct(run_.Run1(OpKind::kConv2dGradInput, {dy, w}, g), x), product, 1e-12);
    g.size[0] = int32_t(c.w[1]);
    g.size[1] = int32_t(c.w[2]);
    EXPECT_NEAR(InnerProduct(run_.Run1(OpKind::kConv2dGradFilter, {dy, x}, g), w), product, 1e-12);
  }
}

TEST_F(ReferenceConvTest, DepthwiseIsAConvolutionWithOneGroupPerChannel) {
  ConvAttrs a;
  a.stride[1] = 2;
  a.pad[0] = a.pad[3] = 1;
  ConvGradAttrs g;
  g.stride[1] = 2;
  g.pad[0] = g.pad[3] = 1;
  const TensorData x = TensorData::Uniform({{2, 7, 5, 3}, kF64}, "x");
  const TensorData w = TensorData::Uniform({{3, 5, 3}, kF64}, "w");
  TransposeAttrs to_ohwi{{2, 0, 1}};
  TensorData w_conv = run_.Run1(OpKind::kTranspose, {w}, to_ohwi);
  w_conv = run_.Run1(OpKind::kReshape, {w_conv}, ShapeAttrs{{3, 3, 5, 1}, 0});
  const TensorData y = run_.Run1(OpKind::kDepthwiseConv2d, {x, w}, a);
  const TensorData dy = TensorData::Uniform(y.type(), "dy");
  const double product = InnerProduct(dy, y);
  a.groups = 3;
  EXPECT_LT(RelativeError(y, run_.Run1(OpKind::kConv2d, {x, w_conv}, a)), 1e-15);
  g.size[0] = 7;
  g.size[1] = 5;
  EXPECT_NEAR(InnerProduct(run_.Run1(OpKind::kDepthwiseConv2dGradInput, {dy, w}, g), x), product,
              1e-12);
  g.size[0] = 3;
  g.size[1] = 5;
  EXPECT_NEAR(InnerProduct(run_.Run1(OpKind::kDepthwiseConv2dGradFilter, {dy, x}, g), w), product,
              1e-12);
}

TEST_F(ReferenceMatmulTest, AllTransposesGiveTheSameProduct) {
  const TransposeAttrs swap{{1, 0}};
  const TensorData a = TensorData::Uniform({{3, 5}, kF64}, "a");
  const TensorData b = TensorData::Uniform({{5, 7}, kF64}, "b");
  const TensorData at = run_.Run1(OpKind::kTranspose, {a}, swap);
  const TensorData bt = run_.Run1(OpKind::kTranspose, {b}, swap);
  const TensorData y = run_.Run1(OpKind::kMatmul, {a, b}, MatmulAttrs{});
  EXPECT_DOUBLE_EQ(y[8], a[5] * b[1] + a[6] * b[8] + a[7] * b[15] + a[8] * b[22] + a[9] * b[29]);
  EXPECT_EQ(run_.Run1(OpKind::kMatmul, {at, b}, MatmulAttrs{true, false}), y);
  EXPECT_EQ(run_.Run1(OpKind::kMatmul, {a, bt}, MatmulAttrs{false, true}), y);
  EXPECT_EQ(run_.Run1(OpKind::kMatmul, {at, bt}, MatmulAttrs{true, true}), y);
}

TEST_F(ReferenceMatmulTest, BatchesTakeTheirOwnOrASharedMatrix) {
  const TensorData a({2, 1, 2}, {1, 2, 3, 4});
  const TensorData own({2, 2, 1}, {1, 10, 100, 1000});
  const TensorData shared({2, 1}, {1, 10});
  const TensorData bias({1}, {0.5});
  EXPECT_THAT(run_.Run1(OpKind::kMatmul, {a, own}, MatmulAttrs{}).Values(), ElementsAre(21, 4300));
  EXPECT_THAT(run_.Run1(OpKind::kMatmul, {a, shared, bias}, MatmulAttrs{}).Values(),
              ElementsAre(21.5, 43.5));
}

PoolAttrs Pool(int kernel, int stride, int pad) {
  PoolAttrs a;
  for (int i = 0; i < 2; ++i) a.kernel[i] = kernel;
  for (int i = 0; i < 2; ++i) a.stride[i] = stride;
  for (int i = 0; i < 4; ++i) a.pad[i] = pad;
  return a;
}

TEST_F(ReferencePoolTest, MaxIgnoresThePadding) {
  const TensorData x({1, 2, 2, 1}, {-4, -3, -2, -1});
  EXPECT_THAT(run_.Run1(OpKind::kMaxPool, {x}, Pool(2, 2, 1)).Values(),
              ElementsAre(-4, -3, -2, -1));
}

TEST_F(ReferencePoolTest, TheFirstOfEqualMaximaTakesTheGradient) {
  const TensorData x({1, 1, 3, 1}, {7, 7, 7});
  const TensorData dy({1, 1, 2, 1}, {1, 10});
  PoolAttrs a = Pool(1, 1, 0);
  a.kernel[1] = 2;
  EXPECT_THAT(run_.Run1(OpKind::kMaxPoolGrad, {dy, x}, a).Values(), ElementsAre(1, 10, 0));
}

TEST_F(ReferencePoolTest, AverageCountsThePaddingWhenAsked) {
  const TensorData x({1, 2, 2, 1}, {4, 8, 12, 16});
  PoolAttrs a = Pool(2, 2, 1);
  EXPECT_THAT(run_.Run1(OpKind::kAvgPool, {x}, a).Values(), ElementsAre(4, 8, 12, 16));
  a.count_include_pad = true;
  EXPECT_THAT(run_.Run1(OpKind::kAvgPool, {x}, a).Values(), ElementsAre(1, 2, 3, 4));
}

TEST_F(ReferencePoolTest, TheGradientOfTheAverageIsItsAdjoint) {
  for (const bool count_include_pad : {false, true}) {
    PoolAttrs a = Pool(3, 2, 1);
    a.pad[0] = 0;
    a.count_include_pad = count_include_pad;
    a.size[0] = 7;
    a.size[1] = 5;
    const TensorData x = TensorData::Uniform({{2, 7, 5, 3}, kF64}, "x");
    const TensorData y = run_.Run1(OpKind::kAvgPool, {x}, a);
    const TensorData dy = TensorData::Uniform(y.type(), "dy");
    EXPECT_NEAR(InnerProduct(run_.Run1(OpKind::kAvgPoolGrad, {dy}, a), x), InnerProduct(dy, y),
                1e-13);
  }
}

// Channel 0: 1 and 5, mean 3, biased variance 4. Channel 1: constant.
TEST_F(ReferenceNormTest, NormalizesByTheBiasedVariance) {
  const TensorData x({2, 2}, {1, 7, 5, 7}, kF64);
  const TensorData scale({2}, {2, 2}, kF64), shift({2}, {10, 20}, kF64);
  const std::vector<TensorData> y =
      run_.Run(OpKind::kBatchNorm, {x, scale, shift}, NormAttrs{0, Act::kNone},
               {.kernel = "reference.batch_norm"});
  ASSERT_EQ(y.size(), 3u);
  EXPECT_THAT(y[1].Values(), ElementsAre(3, 7));
  EXPECT_THAT(y[2].Values(), ElementsAre(4, 0));
  EXPECT_DOUBLE_EQ(y[0][0], 8);
  EXPECT_DOUBLE_EQ(y[0][2], 12);
  const NormAttrs with_eps{1e-5, Act::kRelu};
  const TensorData relu = run_.Run(OpKind::kBatchNorm, {x, scale, shift}, with_eps)[0];
  EXPECT_DOUBLE_EQ(relu[0], 10 - 2 * 2 / std::sqrt(4 + 1e-5));
  EXPECT_EQ(relu[1], 20);
}

TEST_F(ReferenceNormTest, FrozenStatisticsGiveTheSameAsTheBatchOwn) {
  const NormAttrs a{1e-3, Act::kHardSwish};
  const TensorData x = TensorData::Uniform({{2, 5, 3, 7}, kF64}, "x");
  const TensorData scale = TensorData::Uniform({{7}, kF64}, "scale");
  const TensorData shift = TensorData::Uniform({{7}, kF64}, "shift");
  const std::vector<TensorData> y = run_.Run(OpKind::kBatchNorm, {x, scale, shift}, a);
  EXPECT_LT(
      RelativeError(run_.Run1(OpKind::kBatchNormFrozen, {x, scale, shift, y[1], y[2]}, a), y[0]),
      1e-14);
}

// y does not change when all of a channel's inputs grow alike, nor, with eps = 0, when they scale.
TEST_F(ReferenceNormTest, TheGradientIsOrthogonalToOnesAndToTheInput) {
  const NormAttrs a{0, Act::kNone};
  const TensorData x = TensorData::Uniform({{11, 1}, kF64}, "x");
  const TensorData dy = TensorData::Uniform({{11, 1}, kF64}, "dy");
  const TensorData scale({1}, {1.5}, kF64), shift({1}, {0}, kF64);
  const std::vector<TensorData> y = run_.Run(OpKind::kBatchNorm, {x, scale, shift}, a);
  const std::vector<TensorData> grad =
      run_.Run(OpKind::kBatchNormGrad, {dy, x, scale, y[1], y[2]}, a);
  double sum = 0, dshift = 0;
  for (int64_t i = 0; i < 11; ++i) sum += grad[0][i];
  for (int64_t i = 0; i < 11; ++i) dshift += dy[i];
  EXPECT_NEAR(sum, 0, 1e-13);
  EXPECT_NEAR(InnerProduct(grad[0], x), 0, 1e-13);
  EXPECT_GT(std::abs(grad[0][0]), 1e-3);
  EXPECT_NEAR(grad[1][0], InnerProduct(dy, y[0]) / 1.5, 1e-13);
  EXPECT_NEAR(grad[2][0], dshift, 1e-13);
}

TEST_F(ReferenceNormTest, TheGradientThroughAnActivationIsThatOfTheTwoOneAfterTheOther) {
  const TensorData x = TensorData::Uniform({{2, 5, 3, 7}, kF64}, "x", -9, 9);
  const TensorData dy = TensorData::Uniform({{2, 5, 3, 7}, kF64}, "dy");
  const TensorData scale = TensorData::Uniform({{7}, kF64}, "scale", 1, 4);
  const TensorData shift = TensorData::Uniform({{7}, kF64}, "shift", 0, 3);
  for (const auto& [act, act_grad] :
       {std::pair(Act::kRelu, OpKind::kReluGrad), std::pair(Act::kRelu6, OpKind::kRelu6Grad)}) {
    const NormAttrs plain{1e-3, Act::kNone}, fused{1e-3, act};
    const std::vector<TensorData> y = run_.Run(OpKind::kBatchNorm, {x, scale, shift}, fused);
    const TensorData dz = run_.Run1(act_grad, {dy, y[0]}, NoAttrs{});
    EXPECT_EQ(run_.Run(OpKind::kBatchNormGrad, {dy, x, scale, y[1], y[2], shift}, fused),
              run_.Run(OpKind::kBatchNormGrad, {dz, x, scale, y[1], y[2]}, plain));
  }
}

TEST_F(ReferenceNormTest, InPiecesItIsTheSame) {
  const TensorData x = TensorData::Uniform({{4, 5, 3, 7}, kF64}, "x", -9, 9);
  const TensorData dy = TensorData::Uniform({{4, 5, 3, 7}, kF64}, "dy");
  const TensorData scale = TensorData::Uniform({{7}, kF64}, "scale", 1, 4);
  const TensorData shift = TensorData::Uniform({{7}, kF64}, "shift", 0, 3);
  for (const Act act : {Act::kNone, Act::kRelu, Act::kRelu6}) {
    const NormAttrs attrs{1e-3, act};
    const std::vector<TensorData> y = run_.Run(OpKind::kBatchNorm, {x, scale, shift}, attrs);
    const TensorData moments = run_.Run1(OpKind::kBatchNormMoments, {x}, NoAttrs{});
    const std::vector<TensorData> statistics =
        run_.Run(OpKind::kBatchNormStatistics, {moments}, MomentsAttrs{15});
    EXPECT_LT(RelativeError(statistics[0], y[1]), 1e-14);
    EXPECT_LT(RelativeError(statistics[1], y[2]), 1e-14);

    std::vector<TensorData> operands = {dy, x, scale, y[1], y[2]};
    if (act != Act::kNone) operands.push_back(shift);
    const std::vector<TensorData> grad = run_.Run(OpKind::kBatchNormGrad, operands, attrs);
    const std::vector<TensorData> params = run_.Run(OpKind::kBatchNormGradParams, operands, attrs);
    EXPECT_EQ(params[0], grad[1]);
    EXPECT_EQ(params[1], grad[2]);
    operands.insert(operands.begin() + 5, {params[0], params[1]});
    EXPECT_EQ(run_.Run1(OpKind::kBatchNormGradInput, operands, NormGradAttrs{1e-3, 60, act}),
              grad[0]);
  }
}

TEST_F(ReferenceNormTest, SkipsResultsThatNobodyReads) {
  const TensorData x = TensorData::Uniform({{5, 3}}, "x");
  const TensorData v = TensorData::Uniform({{3}}, "v");
  const std::vector<TensorData> all = run_.Run(OpKind::kBatchNorm, {x, v, v}, NormAttrs{});
  for (uint32_t unread = 0; unread < 8; ++unread) {
    RunOptions options;
    options.unread_results = unread;
    const std::vector<TensorData> some =
        run_.Run(OpKind::kBatchNorm, {x, v, v}, NormAttrs{}, options);
    for (size_t i = 0; i < 3; ++i) {
      if ((unread >> i & 1) != 0) {
        EXPECT_TRUE(std::isnan(some[i][0])) << i;
      } else {
        EXPECT_EQ(some[i], all[i]) << i;
      }
    }
  }
}

}  // namespace
}  // namespace pocketune::test
