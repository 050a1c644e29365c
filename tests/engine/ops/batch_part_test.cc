#include "engine/ops/batch_part.h"

#include <gtest/gtest.h>

#include <vector>

namespace pocketune {
namespace {

TensorType F32(Shape shape) { return {shape, DType::kF32}; }

std::optional<PartForm> Form(OpKind op, const std::vector<TensorType>& operands,
                             const TensorType& result, const Attrs& attrs, int parts = 2) {
  return PartFormOf(op, operands, std::span(&result, 1), attrs, parts);
}

TEST(BatchPartTest, ConvolutionsReadTheirFilterWhole) {
  const TensorType x = F32({4, 5, 5, 3}), w = F32({7, 1, 1, 3}), y = F32({4, 5, 5, 7});
  const std::optional<PartForm> form = Form(OpKind::kConv2d, {x, w}, y, ConvAttrs{});
  ASSERT_TRUE(form.has_value());
  EXPECT_EQ(form->cut_operands, 1u);
  EXPECT_FALSE(form->sums);
  EXPECT_FALSE(Form(OpKind::kConv2d, {x, w}, y, ConvAttrs{}, 3).has_value());
}

TEST(BatchPartTest, GradientsOfParametersAreSums) {
  const TensorType x = F32({4, 5, 5, 3}), dy = F32({4, 5, 5, 7}), dw = F32({7, 1, 1, 3});
  const std::optional<PartForm> form =
      Form(OpKind::kConv2dGradFilter, {dy, x}, dw, ConvGradAttrs{.size = {1, 1}});
  ASSERT_TRUE(form.has_value());
  EXPECT_EQ(form->cut_operands, 3u);
  EXPECT_TRUE(form->sums);
  EXPECT_TRUE(Form(OpKind::kReduceSum, {x}, F32({3}), ReduceAttrs{.axes = 7})->sums);
  EXPECT_FALSE(Form(OpKind::kReduceSum, {x}, F32({4, 3}), ReduceAttrs{.axes = 6})->sums);
  EXPECT_FALSE(Form(OpKind::kReduceMean, {x}, F32({3}), ReduceAttrs{.axes = 7}).has_value());
}

TEST(BatchPartTest, WhatIsBroadcastToTheSamplesIsReadWhole) {
  const TensorType x = F32({4, 5});
  EXPECT_EQ(Form(OpKind::kAdd, {x, F32({5})}, x, NoAttrs{})->cut_operands, 1u);
  EXPECT_EQ(Form(OpKind::kAdd, {F32({1, 5}), x}, x, NoAttrs{})->cut_operands, 2u);
  EXPECT_EQ(Form(OpKind::kAdd, {x, F32({4, 1})}, x, NoAttrs{})->cut_operands, 3u);
  EXPECT_FALSE(Form(OpKind::kAdd, {F32({5}), F32({5})}, F32({5}), NoAttrs{}, 2).has_value());
}

TEST(BatchPartTest, MasksAreCutAtWholeBytes) {
  const GateAttrs relu{.act = Act::kRelu};
  EXPECT_TRUE(Form(OpKind::kGateMask, {F32({4, 4})}, {{2}, DType::kU8}, relu).has_value());
  EXPECT_FALSE(Form(OpKind::kGateMask, {F32({4, 6})}, {{3}, DType::kU8}, relu).has_value());
}

TEST(BatchPartTest, StatisticsAndDropoutNeedTheWholeBatch) {
  const TensorType x = F32({4, 5, 5, 3}), c = F32({3});
  const std::vector<TensorType> results = {x, c, c};
  EXPECT_FALSE(
      PartFormOf(OpKind::kBatchNorm, std::vector{x, c, c}, results, NormAttrs{}, 2).has_value());
  EXPECT_FALSE(Form(OpKind::kDropout, {x}, x, DropoutAttrs{}).has_value());
}

TEST(BatchPartTest, OnePartHasItsShareOfDimension0) {
  EXPECT_EQ(PartOf(F32({4, 5}), 2), F32({2, 5}));
  const Attrs part = PartOf(Attrs(ShapeAttrs{.shape = {4, 5}}), 4);
  EXPECT_EQ(std::get<ShapeAttrs>(part).shape, (Shape{1, 5}));
}

}  // namespace
}  // namespace pocketune
