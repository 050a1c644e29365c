#include "engine/ops/op_info.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/rng.h"

namespace pocketune {
namespace {

std::vector<uint8_t> Written(OpKind kind, const Attrs& attrs) {
  std::vector<uint8_t> bytes(InfoOf(kind).attrs_bytes, 0xAA);
  WriteAttrs(attrs, bytes);
  return bytes;
}

// Default attributes with a shape in range.
Attrs ValidAttrs(OpKind kind) {
  Attrs attrs = DefaultAttrs(kind);
  if (auto* shape = std::get_if<ShapeAttrs>(&attrs)) shape->shape = {2, 3};
  if (auto* slice = std::get_if<SliceAttrs>(&attrs)) slice->shape = {2, 3};
  return attrs;
}

TEST(OpInfoTest, FindsEveryOpByItsName) {
  std::set<std::string> names;
  for (int i = 0; i < kOpCount; ++i) {
    const OpInfo& op = InfoOf(static_cast<OpKind>(i));
    EXPECT_EQ(op.kind, static_cast<OpKind>(i));
    EXPECT_EQ(FindOp(op.name), &op);
    EXPECT_TRUE(names.insert(op.name).second) << op.name << " is there twice";
  }
  EXPECT_EQ(FindOp("conv3d"), nullptr);
  EXPECT_EQ(FindOp(""), nullptr);
}

TEST(OpInfoTest, ListsArityTraitsAndAttributesOfConv2d) {
  const OpInfo& op = InfoOf(OpKind::kConv2d);
  EXPECT_STREQ(op.name, "conv2d");
  EXPECT_EQ(op.min_operands, 2);
  EXPECT_EQ(op.max_operands, 3);
  EXPECT_EQ(op.results, 1);
  EXPECT_EQ(op.attrs_bytes, sizeof(ConvAttrs));
  EXPECT_TRUE(op.Has(kFusesAct));
  EXPECT_TRUE(op.Has(kHasMacs));
  EXPECT_FALSE(op.Has(kInplace));
  EXPECT_EQ(InfoOf(OpKind::kRelu).attrs_bytes, 0u);
}

TEST(OpInfoTest, DefaultAttributesAreThoseOfTheRow) {
  for (int i = 0; i < kOpCount; ++i) {
    const OpKind kind = static_cast<OpKind>(i);
    EXPECT_EQ(DefaultAttrs(kind).index(), InfoOf(kind).attrs_index);
  }
  EXPECT_EQ(std::get<NormAttrs>(DefaultAttrs(OpKind::kBatchNorm)).eps, 1e-5);
}

TEST(AttrsBytesTest, ComeBackAsTheyWereWritten) {
  for (int i = 0; i < kOpCount; ++i) {
    const OpKind kind = static_cast<OpKind>(i);
    const std::vector<uint8_t> bytes = Written(kind, ValidAttrs(kind));
    const Result<Attrs> parsed = AttrsFromBytes(kind, bytes);
    ASSERT_TRUE(parsed.ok()) << InfoOf(kind).name << ": " << parsed.status().message();
    EXPECT_EQ(Written(kind, parsed.value()), bytes) << InfoOf(kind).name;
    EXPECT_EQ(AttrsBytes(parsed.value()).size(), bytes.size());
  }
}

TEST(AttrsBytesTest, KeepEveryFieldOfAPool) {
  PoolAttrs pool;
  pool.kernel[1] = 3;
  pool.pad[2] = 2;
  pool.count_include_pad = true;
  pool.size[0] = 17;
  const Result<Attrs> parsed =
      AttrsFromBytes(OpKind::kAvgPool, Written(OpKind::kAvgPool, Attrs(pool)));
  ASSERT_TRUE(parsed.ok());
  const PoolAttrs& back = std::get<PoolAttrs>(parsed.value());
  EXPECT_EQ(back.kernel[1], 3);
  EXPECT_EQ(back.pad[2], 2);
  EXPECT_TRUE(back.count_include_pad);
  EXPECT_EQ(back.size[0], 17);
}

TEST(AttrsBytesTest, PaddingIsWrittenAsZero) {
  ReduceAttrs a;
  a.axes = 0xFFFFFFFF;
  a.keep_dims = true;
  const std::vector<uint8_t> bytes = Written(OpKind::kReduceSum, Attrs(a));
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0}));
}

// Under UBSan this fails where a flag or an enum is formed from bytes out of range.
TEST(AttrsBytesTest, AnyValueOfAnyByteIsTakenAsItIsOrRefused) {
  for (int i = 0; i < kOpCount; ++i) {
    const OpKind kind = static_cast<OpKind>(i);
    const std::vector<uint8_t> good = Written(kind, ValidAttrs(kind));
    for (size_t at = 0; at < good.size(); ++at) {
      for (int value = 0; value < 256; ++value) {
        std::vector<uint8_t> bad = good;
        bad[at] = uint8_t(value);
        const Result<Attrs> parsed = AttrsFromBytes(kind, bad);
        if (!parsed.ok()) continue;
        // What is neither kept nor refused is padding.
        const std::vector<uint8_t> back = Written(kind, parsed.value());
        EXPECT_TRUE(back == bad || back == good) << InfoOf(kind).name << " byte " << at;
      }
    }
  }
}

TEST(AttrsBytesTest, RefusesAnotherNumberOfBytes) {
  for (int i = 0; i < kOpCount; ++i) {
    const OpKind kind = static_cast<OpKind>(i);
    std::vector<uint8_t> bytes = Written(kind, ValidAttrs(kind));
    bytes.push_back(0);
    EXPECT_FALSE(AttrsFromBytes(kind, bytes).ok()) << InfoOf(kind).name;
    const std::span<const uint8_t> all = bytes;
    if (all.size() == 1) continue;
    EXPECT_FALSE(AttrsFromBytes(kind, all.first(all.size() - 2)).ok()) << InfoOf(kind).name;
  }
}

TEST(AttrsBytesTest, RefusesFlagsEnumsAndShapesOutOfRange) {
  std::vector<uint8_t> matmul = Written(OpKind::kMatmul, MatmulAttrs{});
  matmul[0] = 2;
  EXPECT_FALSE(AttrsFromBytes(OpKind::kMatmul, matmul).ok());
  std::vector<uint8_t> conv = Written(OpKind::kConv2d, ConvAttrs{});
  conv[offsetof(ConvAttrs, act)] = kActCount;
  EXPECT_FALSE(AttrsFromBytes(OpKind::kConv2d, conv).ok());
  std::vector<uint8_t> fill = Written(OpKind::kFill, ValidAttrs(OpKind::kFill));
  fill[6 * sizeof(int64_t)] = 7;  // the rank
  EXPECT_FALSE(AttrsFromBytes(OpKind::kFill, fill).ok());
  fill = Written(OpKind::kFill, ValidAttrs(OpKind::kFill));
  std::fill_n(fill.begin(), sizeof(int64_t), 0xFF);  // a negative dimension
  EXPECT_FALSE(AttrsFromBytes(OpKind::kFill, fill).ok());
}

TEST(MacsTest, CountsEachDirectionOfAGroupedConvolutionAlike) {
  const TensorType x{{2, 5, 7, 6}}, w{{4, 3, 3, 3}}, y{{2, 3, 5, 4}};
  ConvAttrs conv;
  conv.groups = 2;
  ConvGradAttrs grad;
  grad.groups = 2;
  const int64_t macs = 2 * 3 * 5 * 4 * 3 * 3 * 3;
  const std::vector<TensorType> forward{x, w}, grad_input{y, w}, grad_filter{y, x};
  EXPECT_EQ(MacsOf(OpKind::kConv2d, forward, {&y, 1}, conv), macs);
  EXPECT_EQ(MacsOf(OpKind::kConv2dGradInput, grad_input, {&x, 1}, grad), macs);
  EXPECT_EQ(MacsOf(OpKind::kConv2dGradFilter, grad_filter, {&w, 1}, grad), macs);
}

TEST(MacsTest, CountsDepthwiseConvolutionsAndMatmuls) {
  const TensorType x{{2, 5, 7, 6}}, w{{3, 3, 6}}, y{{2, 3, 5, 6}};
  const std::vector<TensorType> forward{x, w}, grad_filter{y, x};
  EXPECT_EQ(MacsOf(OpKind::kDepthwiseConv2d, forward, {&y, 1}, ConvAttrs{}), 2 * 3 * 5 * 6 * 9);
  EXPECT_EQ(MacsOf(OpKind::kDepthwiseConv2dGradFilter, grad_filter, {&w, 1}, ConvGradAttrs{}),
            2 * 3 * 5 * 6 * 9);
  MatmulAttrs transposed;
  transposed.trans_a = true;
  const std::vector<TensorType> ab{{{3, 11, 5}}, {{11, 7}}};
  const TensorType product{{3, 5, 7}};
  EXPECT_EQ(MacsOf(OpKind::kMatmul, ab, {&product, 1}, transposed), 3 * 5 * 7 * 11);
  EXPECT_EQ(MacsOf(OpKind::kRelu, {&x, 1}, {&x, 1}, NoAttrs{}), 0);
}

// Does a depthwise convolution over its operand, one result pixel after the other, read a pixel
// that an earlier result has overwritten?
bool ReadsWhatItHasOverwritten(const Shape& x, const Shape& w, const Shape& y, const ConvAttrs& a) {
  for (int64_t pixel = 1; pixel < y.elems() / y[3]; ++pixel) {
    const int64_t n = pixel / (y[1] * y[2]), i = pixel / y[2] % y[1], j = pixel % y[2];
    for (int64_t tap = 0; tap < w[0] * w[1]; ++tap) {
      const int64_t row = i * a.stride[0] - a.pad[0] + tap / w[1] * a.dilation[0];
      const int64_t column = j * a.stride[1] - a.pad[2] + tap % w[1] * a.dilation[1];
      if (row < 0 || row >= x[1] || column < 0 || column >= x[2]) continue;
      if ((n * x[1] + row) * x[2] + column < pixel) return true;
    }
  }
  return false;
}

TEST(MayLieOverTest, ADepthwiseConvolutionNeverReadsWhatItHasOverwritten) {
  int allowed = 0;
  const RandomStream random(1, "depthwise");
  for (uint64_t at = 0; at < 9 * 3000;) {
    const auto below = [&](uint32_t n) { return int32_t(random.Below(at++, n)); };
    const Shape x{1 + below(2), 1 + below(9), 1 + below(9), 1};
    const Shape w{1 + below(4), 1 + below(4), 1};
    ConvAttrs a;
    for (int32_t& stride : a.stride) stride = 1 + below(3);
    for (int32_t& pad : a.pad) pad = below(3);
    TensorType y;
    const std::vector<TensorType> operands{{x}, {w}};
    if (!InferShapes(OpKind::kDepthwiseConv2d, operands, a, {&y, 1}).ok()) continue;
    if (!MayLieOver(OpKind::kDepthwiseConv2d, {x}, y, a)) continue;
    ++allowed;
    ASSERT_FALSE(ReadsWhatItHasOverwritten(x, w, y.shape, a)) << "at " << at;
  }
  EXPECT_GT(allowed, 300);
}

TEST(MayLieOverTest, OthersLieOverOperandsOfTheirOwnTypeAlone) {
  const TensorType x{{2, 6, 6, 3}}, y{{2, 3, 3, 3}};
  EXPECT_TRUE(MayLieOver(OpKind::kRelu, x, x, NoAttrs{}));
  EXPECT_FALSE(MayLieOver(OpKind::kRelu, x, y, NoAttrs{}));
  EXPECT_FALSE(MayLieOver(OpKind::kConv2d, x, x, ConvAttrs{}));
  ConvAttrs same{.pad = {1, 1, 1, 1}};
  EXPECT_FALSE(MayLieOver(OpKind::kDepthwiseConv2d, x, x, same));
  ConvAttrs down{.stride = {2, 2}, .pad = {1, 1, 1, 1}};
  EXPECT_TRUE(MayLieOver(OpKind::kDepthwiseConv2d, x, y, down));
  down.act = Act::kSilu;  // applied to whole rows
  EXPECT_FALSE(MayLieOver(OpKind::kDepthwiseConv2d, x, y, down));
}

}  // namespace
}  // namespace pocketune
