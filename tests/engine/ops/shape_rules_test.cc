#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "engine/base/rng.h"
#include "engine/ops/op_info.h"

namespace pocketune {
namespace {

TensorType F32(Shape shape) { return {shape, DType::kF32}; }
TensorType F64(Shape shape) { return {shape, DType::kF64}; }
TensorType I32(Shape shape) { return {shape, DType::kI32}; }

struct Inferred {
  Status status;
  std::vector<TensorType> results;
  // What tests compare: the shapes, or the message of the error.
  const Shape& operator[](size_t i) const { return results[i].shape; }
};

Inferred Infer(OpKind kind, const std::vector<TensorType>& operands,
               const Attrs& attrs = NoAttrs{}) {
  Inferred inferred;
  inferred.results.resize(size_t(InfoOf(kind).results));
  inferred.status = InferShapes(kind, operands, attrs, inferred.results);
  return inferred;
}

void ExpectShape(const Inferred& inferred, const Shape& shape) {
  ASSERT_TRUE(inferred.status.ok()) << inferred.status.message();
  EXPECT_EQ(inferred[0], shape);
}

void ExpectError(const Inferred& inferred, const std::string& part) {
  ASSERT_FALSE(inferred.status.ok()) << "wanted: " << part;
  EXPECT_EQ(inferred.status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(inferred.status.message()).find(part), std::string::npos)
      << inferred.status.message();
}

ConvAttrs Conv(int stride, std::vector<int> pad = {0, 0, 0, 0}, int dilation = 1, int groups = 1) {
  ConvAttrs a;
  for (int i = 0; i < 2; ++i) a.stride[i] = stride;
  for (int i = 0; i < 4; ++i) a.pad[i] = pad[size_t(i)];
  for (int i = 0; i < 2; ++i) a.dilation[i] = dilation;
  a.groups = groups;
  return a;
}

ConvGradAttrs ConvGrad(const ConvAttrs& conv, int height, int width) {
  ConvGradAttrs a;
  std::memcpy(a.stride, conv.stride, sizeof(a.stride));
  std::memcpy(a.pad, conv.pad, sizeof(a.pad));
  std::memcpy(a.dilation, conv.dilation, sizeof(a.dilation));
  a.groups = conv.groups;
  a.size[0] = height;
  a.size[1] = width;
  return a;
}

TEST(InferShapesTest, ChecksArityAndAttributesOfEachOp) {
  ExpectError(Infer(OpKind::kRelu, {}), "wrong number of operands");
  ExpectError(Infer(OpKind::kRelu, {F32({2}), F32({2})}), "wrong number of operands");
  ExpectError(Infer(OpKind::kRelu, {F32({2})}, AxisAttrs{}), "attributes of another op");
  std::vector<TensorType> two(2);
  EXPECT_FALSE(InferShapes(OpKind::kRelu, std::vector<TensorType>{F32({2})}, NoAttrs{}, two).ok());
}

TEST(InferShapesTest, RefusesSizesOutOfRange) {
  ExpectError(Infer(OpKind::kRelu, {F32({2, 0})}), "below 1");
  ExpectError(Infer(OpKind::kRelu, {F32({2, -3})}), "below 1");
  ExpectError(Infer(OpKind::kRelu, {F32({int64_t{1} << 21, int64_t{1} << 20})}), "too many");
  const int64_t huge = std::numeric_limits<int64_t>::max();
  ExpectError(Infer(OpKind::kRelu, {F32({huge, huge, huge})}), "too many");
  ExpectError(Infer(OpKind::kAdd, {F32({int64_t{1} << 21, 1}), F32({int64_t{1} << 21})}),
              "result: has too many elements");
}

TEST(InferShapesTest, RefusesMixedElementTypes) {
  ExpectError(Infer(OpKind::kAdd, {F32({2}), F64({2})}), "all f32 or all f64");
  ExpectError(Infer(OpKind::kRelu, {I32({2})}), "all f32 or all f64");
  EXPECT_EQ(Infer(OpKind::kAdd, {F64({2}), F64({2})}).results[0].dtype, DType::kF64);
}

TEST(GateRuleTest, AMaskHasABitForEachElement) {
  const TensorType mask = {{4}, DType::kU8};
  const Inferred made = Infer(OpKind::kGateMask, {F32({5, 5})}, GateAttrs{Act::kRelu});
  ASSERT_TRUE(made.status.ok()) << made.status.message();
  EXPECT_EQ(made.results[0], mask);
  EXPECT_EQ(Infer(OpKind::kGateMask, {F32({})}, GateAttrs{}).results[0].shape, Shape({1}));
  ExpectShape(Infer(OpKind::kGateGrad, {F32({5, 5}), mask}), {5, 5});
  ExpectError(Infer(OpKind::kGateGrad, {F32({5, 7}), mask}), "not one bit for each element");
  ExpectError(Infer(OpKind::kGateGrad, {F32({5, 5}), F32({4})}),
              "a mask or packed value must be u8");
  ExpectError(Infer(OpKind::kGateGrad, {mask, mask}), "all f32 or all f64");
  ExpectError(Infer(OpKind::kGateMask, {F32({5})}, GateAttrs{Act::kTanh}), "is no gate");
  ExpectError(Infer(OpKind::kGateMask, {F32({5})}, GateAttrs{Act::kNone, 1, 0}),
              "lo must not be above hi");
}

TEST(NarrowRuleTest, BytesAreOfTheElementsAndOfOneScaleForEachGroupAndChannel) {
  const auto narrow = [](const Shape& shape, int bits) {
    const Inferred made = Infer(OpKind::kNarrow, {F32(shape)}, NarrowAttrs{bits});
    EXPECT_TRUE(made.status.ok()) << made.status.message();
    EXPECT_EQ(made.results[0].dtype, DType::kU8);
    return made.results[0].shape;
  };
  EXPECT_EQ(narrow({3, 5, 7}, 16), Shape({210}));
  EXPECT_EQ(narrow({3, 5, 7}, 8), Shape({105 + 4 * 7}));
  EXPECT_EQ(narrow({65, 1024}, 8), Shape({65 * 1024 + 2 * 4 * 1024}));  // 64 rows are a group
  EXPECT_EQ(narrow({}, 8), Shape({1 + 4}));
  ExpectShape(Infer(OpKind::kWiden, {{{210}, DType::kU8}}, WidenAttrs{16, {3, 5, 7}}), {3, 5, 7});
  EXPECT_EQ(Infer(OpKind::kWiden, {{{133}, DType::kU8}}, WidenAttrs{8, {3, 5, 7}}).results[0],
            F32({3, 5, 7}));
  ExpectError(Infer(OpKind::kWiden, {{{210}, DType::kU8}}, WidenAttrs{8, {3, 5, 7}}),
              "has not the bytes of that shape");
  ExpectError(Infer(OpKind::kWiden, {F32({210})}, WidenAttrs{16, {3, 5, 7}}), "must be u8");
  ExpectError(Infer(OpKind::kNarrow, {F32({5})}, NarrowAttrs{4}), "bits must be 16 or 8");
  ExpectError(Infer(OpKind::kWiden, {{{4}, DType::kU8}}, WidenAttrs{16, {2, 0}}),
              "shape is out of range");
}

TEST(ConvRuleTest, GivesTheSizeOfBothKindsOfSamePadding) {
  const std::vector<TensorType> xw{F32({2, 8, 7, 3}), F32({5, 3, 3, 3})};
  ExpectShape(Infer(OpKind::kConv2d, xw, Conv(1, {1, 1, 1, 1})), {2, 8, 7, 5});
  ExpectShape(Infer(OpKind::kConv2d, xw, Conv(2, {0, 1, 1, 1})), {2, 4, 4, 5});
  ExpectShape(Infer(OpKind::kConv2d, xw, Conv(2, {1, 1, 1, 1})), {2, 4, 4, 5});
  ExpectShape(Infer(OpKind::kConv2d, xw, Conv(2)), {2, 3, 3, 5});
  ExpectShape(Infer(OpKind::kConv2d, xw, Conv(1, {0, 0, 0, 0}, 3)), {2, 2, 1, 5});
}

TEST(ConvRuleTest, TakesGroupsAndBias) {
  ExpectShape(Infer(OpKind::kConv2d, {F32({1, 5, 5, 6}), F32({4, 1, 1, 3}), F32({4})},
                    Conv(1, {0, 0, 0, 0}, 1, 2)),
              {1, 5, 5, 4});
  ExpectShape(
      Infer(OpKind::kDepthwiseConv2d, {F32({1, 5, 7, 6}), F32({3, 5, 6}), F32({6})}, Conv(1)),
      {1, 3, 3, 6});
}

TEST(ConvRuleTest, RefusesWhatDoesNotFit) {
  const TensorType x = F32({1, 5, 5, 6});
  ExpectError(Infer(OpKind::kConv2d, {x, F32({4, 3, 3, 5})}, Conv(1)),
              "conv2d: filter expects another number of input channels");
  ExpectError(Infer(OpKind::kConv2d, {F32({5, 5, 6}), F32({4, 3, 3, 6})}, Conv(1)),
              "input needs 4 dimensions");
  ExpectError(Infer(OpKind::kConv2d, {x, F32({3, 3, 6})}, Conv(1)), "filter needs 4 dimensions");
  ExpectError(Infer(OpKind::kConv2d, {x, F32({4, 6, 3, 6})}, Conv(1)), "does not fit");
  ExpectError(Infer(OpKind::kConv2d, {x, F32({4, 3, 3, 6})}, Conv(1, {0, 0, 0, 0}, 3)),
              "does not fit");
  ExpectError(Infer(OpKind::kConv2d, {x, F32({4, 3, 3, 6}), F32({5})}, Conv(1)), "bias");
  ExpectError(Infer(OpKind::kConv2d, {x, F32({4, 3, 3, 2})}, Conv(1, {0, 0, 0, 0}, 1, 4)),
              "do not divide the input");
  ExpectError(Infer(OpKind::kConv2d, {x, F32({4, 3, 3, 2})}, Conv(1, {0, 0, 0, 0}, 1, 3)),
              "do not divide the output");
  ExpectError(Infer(OpKind::kDepthwiseConv2d, {x, F32({3, 3, 5})}, Conv(1)), "another number");
  ExpectError(Infer(OpKind::kDepthwiseConv2d, {x, F32({3, 3, 6})}, Conv(1, {0, 0, 0, 0}, 1, 6)),
              "groups must be 1");
}

TEST(ConvRuleTest, RefusesAttributesOutOfRange) {
  const std::vector<TensorType> xw{F32({1, 5, 5, 6}), F32({4, 3, 3, 6})};
  ExpectError(Infer(OpKind::kConv2d, xw, Conv(0)), "stride");
  ExpectError(Infer(OpKind::kConv2d, xw, Conv(-1)), "stride");
  ExpectError(Infer(OpKind::kConv2d, xw, Conv(1, {0, 0, -1, 0})), "padding");
  ExpectError(Infer(OpKind::kConv2d, xw, Conv(1, {INT32_MAX, 0, 0, 0})), "padding");
  ExpectError(Infer(OpKind::kConv2d, xw, Conv(1, {0, 0, 0, 0}, 0)), "dilation");
  ExpectError(Infer(OpKind::kConv2d, xw, Conv(1, {0, 0, 0, 0}, 1, 0)), "groups");
  ExpectError(Infer(OpKind::kConv2d, xw, Conv(1, {0, 0, 0, 0}, INT32_MAX)), "dilation");
}

TEST(ConvGradRuleTest, GivesBackTheShapesOfInputAndFilter) {
  const TensorType x = F32({2, 8, 7, 6}), w = F32({4, 3, 5, 3});
  const ConvAttrs conv = Conv(2, {0, 1, 2, 1}, 1, 2);
  const Inferred y = Infer(OpKind::kConv2d, {x, w}, conv);
  ASSERT_TRUE(y.status.ok());
  const TensorType dy = y.results[0];
  ExpectShape(Infer(OpKind::kConv2dGradInput, {dy, w}, ConvGrad(conv, 8, 7)), x.shape);
  ExpectShape(Infer(OpKind::kConv2dGradFilter, {dy, x}, ConvGrad(conv, 3, 5)), w.shape);
  ExpectError(Infer(OpKind::kConv2dGradInput, {dy, w}, ConvGrad(conv, 11, 7)), "dy has not");
  ExpectError(Infer(OpKind::kConv2dGradInput, {dy, w}, ConvGrad(conv, 0, 7)), "size");
  ExpectError(Infer(OpKind::kConv2dGradFilter, {dy, x}, ConvGrad(conv, 3, 7)), "dy has not");
  ExpectError(Infer(OpKind::kConv2dGradFilter, {dy, F32({3, 8, 7, 6})}, ConvGrad(conv, 3, 5)),
              "batch sizes differ");
  ExpectError(Infer(OpKind::kConv2dGradInput, {dy, F32({6, 3, 5, 3})}, ConvGrad(conv, 8, 7)),
              "other channels");
}

// Text of the IR may name any 32-bit number of groups; the filter's channels alone go up to 2^40.
TEST(ConvGradRuleTest, RefusesGroupsWhoseChannelsNoNumberHolds) {
  ConvGradAttrs a = ConvGrad(Conv(1), 1, 1);
  for (const int32_t groups : {INT32_MAX, 1 << 30, (1 << 23) + 1}) {
    SCOPED_TRACE(groups);
    a.groups = groups;
    const TensorType dy = F32({1, 1, 1, 1});
    ExpectError(Infer(OpKind::kConv2dGradInput, {dy, F32({1, 1, 1, int64_t{1} << 40})}, a),
                "conv2d_grad_input: too many groups");
  }
  // 2^34 * 2^30 is 2^64: what wraps to 0 must not pass either.
  a.groups = 1 << 30;
  ExpectError(
      Infer(OpKind::kConv2dGradInput, {F32({1, 1, 1, 1}), F32({1, 1, 1, int64_t{1} << 34})}, a),
      "too many groups");
}

TEST(ConvGradRuleTest, GivesBackTheShapesOfDepthwiseInputAndFilter) {
  const TensorType x = F32({2, 8, 7, 5}), w = F32({3, 3, 5});
  const ConvAttrs conv = Conv(2, {0, 1, 1, 1});
  const Inferred y = Infer(OpKind::kDepthwiseConv2d, {x, w}, conv);
  ASSERT_TRUE(y.status.ok());
  const TensorType dy = y.results[0];
  ExpectShape(Infer(OpKind::kDepthwiseConv2dGradInput, {dy, w}, ConvGrad(conv, 8, 7)), x.shape);
  ExpectShape(Infer(OpKind::kDepthwiseConv2dGradFilter, {dy, x}, ConvGrad(conv, 3, 3)), w.shape);
  ExpectError(
      Infer(OpKind::kDepthwiseConv2dGradFilter, {dy, F32({2, 8, 7, 3})}, ConvGrad(conv, 3, 3)),
      "other channels");
}

TEST(MatmulRuleTest, TakesAllTransposesBatchesAndASharedMatrix) {
  MatmulAttrs nt;
  nt.trans_b = true;
  MatmulAttrs tn;
  tn.trans_a = true;
  ExpectShape(Infer(OpKind::kMatmul, {F32({3, 5}), F32({5, 7})}, MatmulAttrs{}), {3, 7});
  ExpectShape(Infer(OpKind::kMatmul, {F32({3, 5}), F32({7, 5}), F32({7})}, nt), {3, 7});
  ExpectShape(Infer(OpKind::kMatmul, {F32({5, 3}), F32({5, 7})}, tn), {3, 7});
  ExpectShape(Infer(OpKind::kMatmul, {F32({2, 11, 3, 5}), F32({2, 11, 5, 7})}, MatmulAttrs{}),
              {2, 11, 3, 7});
  ExpectShape(Infer(OpKind::kMatmul, {F32({2, 11, 3, 5}), F32({5, 7})}, MatmulAttrs{}),
              {2, 11, 3, 7});
}

TEST(MatmulRuleTest, RefusesWhatDoesNotFit) {
  const MatmulAttrs a;
  ExpectError(Infer(OpKind::kMatmul, {F32({3, 5}), F32({7, 5})}, a), "inner dimensions");
  ExpectError(Infer(OpKind::kMatmul, {F32({5}), F32({5, 7})}, a), "at least 2");
  ExpectError(Infer(OpKind::kMatmul, {F32({2, 3, 5}), F32({3, 5, 7})}, a), "batch");
  ExpectError(Infer(OpKind::kMatmul, {F32({3, 5}), F32({2, 5, 7})}, a), "rank of operand 0");
  ExpectError(Infer(OpKind::kMatmul, {F32({3, 5}), F32({5, 7}), F32({3})}, a), "bias");
}

TEST(NormRuleTest, DerivesStatisticsAndGradients) {
  const TensorType x = F32({2, 3, 5, 7}), v = F32({7});
  const Inferred y = Infer(OpKind::kBatchNorm, {x, v, v}, NormAttrs{});
  ExpectShape(y, x.shape);
  EXPECT_EQ(y[1], v.shape);
  EXPECT_EQ(y[2], v.shape);
  const Inferred grad = Infer(OpKind::kBatchNormGrad, {x, x, v, v, v}, NormAttrs{});
  ExpectShape(grad, x.shape);
  EXPECT_EQ(grad[1], v.shape);
  const NormAttrs relu{1e-5, Act::kRelu}, tanh{1e-5, Act::kTanh};
  ExpectShape(Infer(OpKind::kBatchNormGrad, {x, x, v, v, v, v}, relu), x.shape);
  ExpectError(Infer(OpKind::kBatchNormGrad, {x, x, v, v, v}, relu), "shift");
  ExpectError(Infer(OpKind::kBatchNormGrad, {x, x, v, v, v, v}, NormAttrs{}), "shift");
  ExpectError(Infer(OpKind::kBatchNormGrad, {x, x, v, v, v, v}, tanh), "relu");
  ExpectShape(Infer(OpKind::kBatchNormFrozen, {x, v, v, v, v}, NormAttrs{}), x.shape);
  ExpectShape(Infer(OpKind::kBatchNormFrozenGradInput, {x, v, v}, NormAttrs{}), x.shape);
  ExpectShape(Infer(OpKind::kBatchNormFrozenGradScale, {x, x, v, v}, NormAttrs{}), v.shape);
  ExpectShape(Infer(OpKind::kBatchNormMoments, {x}, NoAttrs{}), {2, 2, 7});
  ExpectError(Infer(OpKind::kBatchNormMoments, {F32({2, 7})}, NoAttrs{}), "at least 3");
  const Inferred statistics =
      Infer(OpKind::kBatchNormStatistics, {F32({2, 2, 7})}, MomentsAttrs{15});
  ExpectShape(statistics, v.shape);
  EXPECT_EQ(statistics[1], v.shape);
  ExpectError(Infer(OpKind::kBatchNormStatistics, {F32({2, 3, 7})}, MomentsAttrs{15}), "[N,2,C]");
  ExpectError(Infer(OpKind::kBatchNormStatistics, {F32({2, 2, 7})}, MomentsAttrs{}), "count");
  ExpectShape(Infer(OpKind::kBatchNormGradParams, {x, x, v, v, v}, NormAttrs{}), v.shape);
  const NormGradAttrs whole{1e-5, 30, Act::kNone};
  ExpectShape(Infer(OpKind::kBatchNormGradInput, {x, x, v, v, v, v, v}, whole), x.shape);
  ExpectError(Infer(OpKind::kBatchNormGradInput, {x, x, v, v, v, v, v, v}, whole), "shift");
  ExpectError(Infer(OpKind::kBatchNorm, {x, v, F32({5})}, NormAttrs{}), "not a vector");
  ExpectError(Infer(OpKind::kBatchNormGrad, {x, F32({2, 7}), v, v, v}, NormAttrs{}), "differ");
  NormAttrs negative;
  negative.eps = -1;
  ExpectError(Infer(OpKind::kBatchNorm, {x, v, v}, negative), "eps");
  NormAttrs fused;
  fused.act = Act::kRelu;
  ExpectShape(Infer(OpKind::kBatchNorm, {x, v, v}, fused), x.shape);
  ExpectError(Infer(OpKind::kBatchNormFrozenGradInput, {x, v, v}, fused), "activation");
}

TEST(PoolRuleTest, ChecksWindowAndSize) {
  PoolAttrs a;
  a.kernel[0] = a.kernel[1] = 3;
  a.stride[0] = a.stride[1] = 2;
  a.pad[0] = a.pad[2] = 1;
  const TensorType x = F32({2, 8, 7, 5});
  ExpectShape(Infer(OpKind::kMaxPool, {x}, a), {2, 4, 3, 5});
  ExpectShape(Infer(OpKind::kMaxPoolGrad, {F32({2, 4, 3, 5}), x}, a), x.shape);
  ExpectError(Infer(OpKind::kMaxPoolGrad, {F32({2, 3, 3, 5}), x}, a), "not shaped");
  ExpectError(Infer(OpKind::kAvgPoolGrad, {F32({2, 4, 3, 5})}, a), "size is out of range");
  a.size[0] = 8;
  a.size[1] = 7;
  ExpectShape(Infer(OpKind::kAvgPool, {x}, a), {2, 4, 3, 5});
  ExpectShape(Infer(OpKind::kAvgPoolGrad, {F32({2, 4, 3, 5})}, a), x.shape);
  a.size[1] = 6;
  ExpectError(Infer(OpKind::kAvgPool, {x}, a), "size is not the input's");
  a.size[0] = a.size[1] = 0;
  a.pad[3] = 3;
  ExpectError(Infer(OpKind::kAvgPool, {x}, a), "less than the kernel");
  a.pad[3] = 0;
  a.kernel[0] = 10;
  ExpectError(Infer(OpKind::kAvgPool, {x}, a), "does not fit");
}

TEST(ElementwiseRuleTest, BroadcastsAsNumPyDoes) {
  ExpectShape(Infer(OpKind::kAdd, {F32({2, 1, 5}), F32({3, 1})}), {2, 3, 5});
  ExpectShape(Infer(OpKind::kMul, {F32({}), F32({7})}), {7});
  ExpectShape(Infer(OpKind::kSub, {F32({}), F32({})}), {});
  ExpectError(Infer(OpKind::kDiv, {F32({2, 3}), F32({2})}), "neither equal nor 1");
  ExpectError(Infer(OpKind::kReluGrad, {F32({2, 3}), F32({3})}), "differ in shape");
}

TEST(ElementwiseRuleTest, ChecksAttributes) {
  const std::vector<TensorType> x{F32({3})};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ExpectError(Infer(OpKind::kClamp, x, ClampAttrs{1, 0}), "lo must not be above hi");
  ExpectError(Infer(OpKind::kClamp, x, ClampAttrs{nan, 0}), "lo must not be above hi");
  ExpectError(Infer(OpKind::kDropout, x, DropoutAttrs{1.0, 0}), "rate");
  ExpectError(Infer(OpKind::kDropout, x, DropoutAttrs{nan, 0}), "rate");
  ExpectError(Infer(OpKind::kAffine, x, AffineAttrs{nan, 0}), "finite");
  ExpectShape(Infer(OpKind::kDropout, x, DropoutAttrs{0.0, 0}), {3});
}

TEST(ReduceRuleTest, KeepsOrDropsDimensions) {
  const TensorType x = F32({2, 3, 5});
  ExpectShape(Infer(OpKind::kReduceSum, {x}, ReduceAttrs{0b101, false}), {3});
  ExpectShape(Infer(OpKind::kReduceMean, {x}, ReduceAttrs{0b101, true}), {1, 3, 1});
  ExpectShape(Infer(OpKind::kReduceMax, {x}, ReduceAttrs{0b111, false}), {});
  ExpectError(Infer(OpKind::kReduceSum, {x}, ReduceAttrs{0, false}), "no dimension");
  ExpectError(Infer(OpKind::kReduceSum, {x}, ReduceAttrs{0b1000, false}), "below the rank");
  ExpectError(Infer(OpKind::kReduceSum, {x}, ReduceAttrs{0x80000001, false}), "below the rank");
  ExpectShape(Infer(OpKind::kReduceMaxGrad, {F32({3}), x, F32({3})}, ReduceAttrs{0b101, false}),
              x.shape);
  ExpectError(Infer(OpKind::kReduceMaxGrad, {F32({5}), x, F32({3})}, ReduceAttrs{0b101, false}),
              "not shaped");
}

TEST(LayoutRuleTest, ReshapesBroadcastsAndFills) {
  ExpectShape(Infer(OpKind::kReshape, {F32({2, 15})}, ShapeAttrs{{3, 10}, 0}), {3, 10});
  ExpectError(Infer(OpKind::kReshape, {F32({2, 15})}, ShapeAttrs{{3, 11}, 0}), "elements");
  ExpectShape(Infer(OpKind::kBroadcastTo, {F32({3, 1})}, ShapeAttrs{{2, 3, 5}, 0}), {2, 3, 5});
  ExpectError(Infer(OpKind::kBroadcastTo, {F32({3, 2})}, ShapeAttrs{{2, 3, 5}, 0}), "neither 1");
  ExpectError(Infer(OpKind::kBroadcastTo, {F32({2, 3})}, ShapeAttrs{{3}, 0}), "rank falls");
  ExpectError(Infer(OpKind::kBroadcastTo, {F32({1})}, ShapeAttrs{{-3}, 0}), "shape is out");
  ExpectShape(Infer(OpKind::kFill, {}, ShapeAttrs{{}, 1}), {});
  std::vector<TensorType> wide{F64({})};
  ASSERT_TRUE(InferShapes(OpKind::kFill, {}, ShapeAttrs{{3}, 1}, wide).ok());
  EXPECT_EQ(wide[0], F64({3}));
}

TEST(LayoutRuleTest, TransposesConcatenatesPadsAndSlices) {
  ExpectShape(Infer(OpKind::kTranspose, {F32({2, 3, 5})}, TransposeAttrs{{2, 0, 1}}), {5, 2, 3});
  ExpectError(Infer(OpKind::kTranspose, {F32({2, 3, 5})}, TransposeAttrs{{2, 0, 2}}), "perm");
  ExpectError(Infer(OpKind::kTranspose, {F32({2, 3, 5})}, TransposeAttrs{{3, 0, 1}}), "perm");
  ExpectError(Infer(OpKind::kTranspose, {F32({2, 3, 5})}, TransposeAttrs{{-1, 0, 1}}), "perm");
  const TensorType a = F32({2, 3}), b = F32({2, 5});
  ExpectShape(Infer(OpKind::kConcat, {a, b, a}, AxisAttrs{1}), {2, 11});
  ExpectError(Infer(OpKind::kConcat, {a, b}, AxisAttrs{0}), "another dimension");
  ExpectError(Infer(OpKind::kConcat, {a, b}, AxisAttrs{2}), "axis");
  ExpectError(Infer(OpKind::kConcat, {a, F32({2})}, AxisAttrs{0}), "rank");
  ExpectShape(Infer(OpKind::kPad, {a}, PadAttrs{{1, 0}, {2, 4}, 0}), {5, 7});
  ExpectError(Infer(OpKind::kPad, {a}, PadAttrs{{-1}, {}, 0}), "negative");
  ExpectError(Infer(OpKind::kPad, {a}, PadAttrs{{0, 0, 1}, {}, 0}), "has not");
  ExpectShape(Infer(OpKind::kSlice, {b}, SliceAttrs{{1, 2}, {1, 3}}), {1, 3});
  ExpectShape(Infer(OpKind::kSlice, {I32({5})}, SliceAttrs{{2}, {3}}), {3});  // labels
  ExpectError(Infer(OpKind::kSlice, {b}, SliceAttrs{{1, 3}, {1, 3}}), "inside");
  ExpectError(Infer(OpKind::kSlice, {b}, SliceAttrs{{-1, 0}, {1, 3}}), "inside");
  ExpectError(Infer(OpKind::kSlice, {b}, SliceAttrs{{0}, {2}}), "rank");
}

TEST(LayoutRuleTest, GathersAlongOneDimension) {
  const TensorType x = F32({2, 5, 3}), index = F32({7});
  ExpectShape(Infer(OpKind::kGather, {x, index}, AxisAttrs{1}), {2, 7, 3});
  ExpectError(Infer(OpKind::kGather, {x, index}, AxisAttrs{3}), "axis");
  ExpectError(Infer(OpKind::kGather, {x, index}, AxisAttrs{-1}), "axis");
  ExpectError(Infer(OpKind::kGather, {x, F32({7, 1})}, AxisAttrs{1}), "vector");
  ExpectError(Infer(OpKind::kGather, {F32({1 << 25}), index}, AxisAttrs{0}), "too long");
  ExpectError(Infer(OpKind::kGather, {F32({int64_t{1} << 20, 1}), F32({1 << 25})}, AxisAttrs{1}),
              "too large");
}

TEST(LossRuleTest, GivesAScalarAndTheGradientOfTheLogits) {
  const TensorType x = F32({3, 5}), labels = I32({3}), weight = F32({3}), scalar = F32({});
  ExpectShape(Infer(OpKind::kSoftmaxCrossEntropy, {x, labels, weight}, LossAttrs{}), {});
  ExpectShape(Infer(OpKind::kSoftmaxCrossEntropyGrad, {scalar, x, labels, weight}, LossAttrs{}),
              {3, 5});
  ExpectError(Infer(OpKind::kSoftmaxCrossEntropy, {x, F32({3}), weight}, LossAttrs{}), "i32");
  ExpectError(Infer(OpKind::kSoftmaxCrossEntropy, {x, I32({5}), weight}, LossAttrs{}), "labels");
  ExpectError(Infer(OpKind::kSoftmaxCrossEntropy, {x, labels, F32({5})}, LossAttrs{}), "weights");
  ExpectError(Infer(OpKind::kSoftmaxCrossEntropy, {x, labels, weight}, LossAttrs{1.5}),
              "label_smoothing");
  ExpectShape(Infer(OpKind::kMeanSquaredError, {x, x, weight}), {});
  ExpectShape(Infer(OpKind::kMeanSquaredErrorGrad, {scalar, x, x, weight}), {3, 5});
  ExpectError(Infer(OpKind::kMeanSquaredError, {x, F32({3, 4}), weight}), "differ");
  ExpectError(Infer(OpKind::kMeanSquaredErrorGrad, {weight, x, x, weight}), "scalar");
}

TEST(UpdateRuleTest, StatesAndGradientMayBeSlicesThatAnIndexNumbers) {
  const TensorType w = F32({5, 3, 7}), g = F32({5, 3, 2}), index = F32({2});
  ExpectShape(Infer(OpKind::kSgd, {w, g, index}, OptimizerAttrs{}), {5, 3, 7});
  const Inferred adamw = Infer(OpKind::kAdamW, {w, g, g, g, index}, OptimizerAttrs{});
  ExpectShape(adamw, w.shape);
  EXPECT_EQ(adamw[2], g.shape);
  ExpectError(Infer(OpKind::kSgd, {w, w, index}, OptimizerAttrs{}), "no slice");
  ExpectError(Infer(OpKind::kSgd, {w, F32({5, 2, 2}), index}, OptimizerAttrs{}), "no slice");
  ExpectError(Infer(OpKind::kSgd, {g, w, index}, OptimizerAttrs{}), "no slice");
  ExpectError(Infer(OpKind::kSgd, {w, g, F32({3})}, OptimizerAttrs{}), "one number per slice");
  ExpectError(Infer(OpKind::kMomentum, {w, w, g, index}, OptimizerAttrs{}), "state");
}

TEST(UpdateRuleTest, ResultsAreShapedAsTheParameters) {
  const TensorType w = F32({3, 5});
  const Inferred adamw = Infer(OpKind::kAdamW, {w, w, w, w}, OptimizerAttrs{});
  ExpectShape(adamw, w.shape);
  EXPECT_EQ(adamw[2], w.shape);
  ExpectError(Infer(OpKind::kSgd, {w, F32({5, 3})}, OptimizerAttrs{}), "not shaped");
  OptimizerAttrs beta;
  beta.beta2 = 1;
  ExpectError(Infer(OpKind::kAdamW, {w, w, w, w}, beta), "beta");
  OptimizerAttrs rate;
  rate.lr_scale = std::numeric_limits<double>::infinity();
  ExpectError(Infer(OpKind::kSgd, {w, w}, rate), "lr_scale");
  const TensorType v = F32({5});
  ExpectError(Infer(OpKind::kBatchNormUpdate, {v, v, v, v}, NormUpdateAttrs{0.1, 0}), "count");
  ExpectError(Infer(OpKind::kBatchNormUpdate, {v, v, v, v}, NormUpdateAttrs{1.1, 9}), "momentum");
}

// Operands and attributes at random, wild ones among them: the rule refuses them or gives results
// in range. Overflow on the way is UBSan's to find.
TEST(ShapeRulesTest, AnythingIsRefusedOrGivesResultsInRange) {
  constexpr int64_t kSizes[] = {1,
                                1,
                                2,
                                2,
                                3,
                                3,
                                4,
                                5,
                                6,
                                7,
                                13,
                                1 << 20,
                                0,
                                -1,
                                int64_t{1} << 40,
                                std::numeric_limits<int64_t>::max()};
  uint64_t draw = 0;
  int accepted = 0;
  const RandomStream random(3, "shape rules");
  const auto below = [&](uint32_t n) { return random.Below(draw++, n); };
  for (int i = 0; i < kOpCount; ++i) {
    const OpInfo& op = InfoOf(static_cast<OpKind>(i));
    for (int round = 0; round < 2000; ++round) {
      const uint32_t wildest = below(8) == 0 ? 16 : 11;
      std::vector<TensorType> operands(size_t(op.min_operands) +
                                       below(uint32_t(op.max_operands - op.min_operands + 1)));
      for (size_t k = 0; k < operands.size(); ++k) {
        if (k > 0 && below(2) == 0) {
          operands[k] = operands[below(uint32_t(k))];
          continue;
        }
        for (uint32_t rank = below(7); rank > 0; --rank) {
          operands[k].shape.Append(kSizes[below(wildest)]);
        }
      }
      std::vector<uint8_t> bytes(op.attrs_bytes);
      WriteAttrs(DefaultAttrs(op.kind), bytes);
      for (uint32_t edits = below(4); edits > 0 && !bytes.empty(); --edits) {
        const size_t at = below(uint32_t(bytes.size())) / 4 * 4;
        bytes[at] = uint8_t(below(2) == 0 ? below(4) : below(256));
        if (below(8) == 0) bytes[at + 3] = uint8_t(below(256));
      }
      const Result<Attrs> attrs = AttrsFromBytes(op.kind, bytes);
      if (!attrs.ok()) continue;
      const Inferred inferred = Infer(op.kind, operands, attrs.value());
      if (!inferred.status.ok()) continue;
      ++accepted;
      for (const TensorType& result : inferred.results) {
        EXPECT_GE(result.shape.elems(), 1);
        EXPECT_LE(result.shape.elems(), int64_t{1} << 40);
      }
      EXPECT_GE(MacsOf(op.kind, operands, inferred.results, attrs.value()), 0);
    }
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace pocketune
