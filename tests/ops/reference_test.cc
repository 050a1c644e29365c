// The table of the reference backend, its elementwise ops, reductions and layout ops.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "backends/reference/reference_kernels.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/tensor_data.h"

namespace pocketune::test {
namespace {

using ::testing::ElementsAre;

constexpr DType kF64 = DType::kF64;
constexpr double kInf = std::numeric_limits<double>::infinity();

class ReferenceTest : public ::testing::Test {
 protected:
  std::vector<double> Unary(OpKind op, const std::vector<double>& x,
                            const Attrs& attrs = NoAttrs{}) {
    return run_.Run1(op, {TensorData({int64_t(x.size())}, x, kF64)}, attrs).Values();
  }
  // dx for dy = 1.
  std::vector<double> Grad(OpKind op, const std::vector<double>& saved,
                           const Attrs& attrs = NoAttrs{}) {
    const Shape shape{int64_t(saved.size())};
    const TensorData dy(shape, std::vector<double>(saved.size(), 1), kF64);
    return run_.Run1(op, {dy, TensorData(shape, saved, kF64)}, attrs).Values();
  }
  KernelRunner run_{ReferenceKernels()};
};

TEST_F(ReferenceTest, HasOneKernelPerOpNamedAfterIt) {
  const KernelTable table = ReferenceKernels();
  ASSERT_EQ(table.size(), size_t(kOpCount));
  for (int i = 0; i < kOpCount; ++i) {
    EXPECT_EQ(table[size_t(i)].op, static_cast<OpKind>(i));
    EXPECT_EQ(std::string(table[size_t(i)].name),
              std::string("reference.") + InfoOf(static_cast<OpKind>(i)).name);
  }
}

TEST_F(ReferenceTest, ActivationsAtTheirCorners) {
  EXPECT_THAT(Unary(OpKind::kRelu, {-1, 0, 7}), ElementsAre(0, 0, 7));
  EXPECT_THAT(Unary(OpKind::kRelu6, {-1, 3, 7}), ElementsAre(0, 3, 6));
  EXPECT_THAT(Unary(OpKind::kHardSwish, {-3, -1.5, 0, 3, 4}), ElementsAre(0, -0.375, 0, 3, 4));
  EXPECT_THAT(Unary(OpKind::kHardSigmoid, {-4, 0, 1.5, 4}), ElementsAre(0, 0.5, 0.75, 1));
  EXPECT_THAT(Unary(OpKind::kSigmoid, {-kInf, 0, kInf}), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(Unary(OpKind::kClamp, {-9, 1, 9}, ClampAttrs{-2, 5}), ElementsAre(-2, 1, 5));
  EXPECT_THAT(Unary(OpKind::kAffine, {1, 2}, AffineAttrs{3, -1}), ElementsAre(2, 5));
  EXPECT_THAT(Unary(OpKind::kSoftplus, {-kInf, 0, 1000}), ElementsAre(0, std::log(2), 1000));
  EXPECT_DOUBLE_EQ(Unary(OpKind::kSilu, {1})[0], 1 / (1 + std::exp(-1.0)));
  EXPECT_TRUE(std::isnan(Unary(OpKind::kRelu, {std::nan("")})[0]));
}

TEST_F(ReferenceTest, MasksHaveABitForEachElementThatAGateLetsThrough) {
  const TensorData x({10}, {-1, 0, 1e-9, 6, kInf, -kInf, std::nan(""), 5, 2, 0}, kF64);
  const auto mask = [&](const GateAttrs& gate) {
    return run_.Run1(OpKind::kGateMask, {x}, gate).Values();
  };
  EXPECT_THAT(mask({Act::kRelu}), ElementsAre(0b10011100, 0b01));
  EXPECT_THAT(mask({Act::kRelu6}), ElementsAre(0b10000100, 0b01));
  EXPECT_THAT(mask({Act::kNone, -1, 5}), ElementsAre(0b10000111, 0b11));
  const TensorData dy({9}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, kF64);
  const TensorData bits({2}, {0b01000101, 1}, DType::kU8);
  EXPECT_THAT(run_.Run1(OpKind::kGateGrad, {dy, bits}, NoAttrs{}).Values(),
              ElementsAre(1, 0, 3, 0, 0, 0, 7, 0, 9));
  EXPECT_EQ(run_.Run1(OpKind::kGateGrad, {dy, bits}, NoAttrs{}, {.in_place = true}),
            run_.Run1(OpKind::kGateGrad, {dy, bits}, NoAttrs{}));
}

TEST_F(ReferenceTest, GradientsOfActivationsAtTheirCorners) {
  EXPECT_THAT(Grad(OpKind::kReluGrad, {0, 1}), ElementsAre(0, 1));
  EXPECT_THAT(Grad(OpKind::kRelu6Grad, {0, 3, 6}), ElementsAre(0, 1, 0));
  EXPECT_THAT(Grad(OpKind::kHardSwishGrad, {-3, 0, 3}), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(Grad(OpKind::kHardSigmoidGrad, {-3, 0, 3}), ElementsAre(0, 1.0 / 6, 0));
  EXPECT_THAT(Grad(OpKind::kClampGrad, {-3, -2, 0, 5, 6}, ClampAttrs{-2, 5}),
              ElementsAre(0, 1, 1, 1, 0));
  EXPECT_THAT(Grad(OpKind::kSigmoidGrad, {0.25}), ElementsAre(0.1875));
  EXPECT_THAT(Grad(OpKind::kTanhGrad, {0.5}), ElementsAre(0.75));
  EXPECT_THAT(Grad(OpKind::kSiluGrad, {0}), ElementsAre(0.5));
}

TEST_F(ReferenceTest, NarrowRoundsToBfloat16OrToAByteOfTheChannelsScale) {
  const TensorData x({2, 2}, {1.0 + 0x1p-7, -3.14159, 127, 0.5});
  const TensorData half = run_.Run1(OpKind::kNarrow, {x}, NarrowAttrs{16});
  EXPECT_THAT(half.Values(), ElementsAre(0x81, 0x3F, 0x49, 0xC0, 0xFE, 0x42, 0x00, 0x3F));
  EXPECT_THAT(run_.Run1(OpKind::kWiden, {half}, WidenAttrs{16, {2, 2}}).Values(),
              ElementsAre(1.0 + 0x1p-7, -3.140625, 127, 0.5));
  // Scales 1 and 3.14159 / 127 stand first.
  const TensorData bytes = run_.Run1(OpKind::kNarrow, {x}, NarrowAttrs{8});
  ASSERT_EQ(bytes.elems(), 8 + 4);
  EXPECT_THAT((std::vector<double>{bytes[8], bytes[9], bytes[10], bytes[11]}),
              ElementsAre(1, 256 - 127, 127, 20));
  const TensorData back = run_.Run1(OpKind::kWiden, {bytes}, WidenAttrs{8, {2, 2}});
  EXPECT_EQ(back[0], 1);
  EXPECT_EQ(back[2], 127);
  EXPECT_NEAR(back[1], -3.14159, 1e-6);
  EXPECT_NEAR(back[3], 20 * 3.14159 / 127, 1e-6);
}

TEST_F(ReferenceTest, BinaryOpsBroadcastBothWays) {
  const TensorData column({2, 1}, {10, 20}), row({3}, {1, 2, 4});
  EXPECT_THAT(run_.Run1(OpKind::kAdd, {column, row}, NoAttrs{}).Values(),
              ElementsAre(11, 12, 14, 21, 22, 24));
  EXPECT_THAT(run_.Run1(OpKind::kSub, {row, column}, NoAttrs{}).Values(),
              ElementsAre(-9, -8, -6, -19, -18, -16));
  EXPECT_THAT(run_.Run1(OpKind::kMul, {row, TensorData({}, {3})}, NoAttrs{}).Values(),
              ElementsAre(3, 6, 12));
  EXPECT_THAT(run_.Run1(OpKind::kDiv, {column, row}, NoAttrs{}).Values(),
              ElementsAre(10, 5, 2.5, 20, 10, 5));
}

TEST_F(ReferenceTest, DropoutKeepsWhatTheGeneratorSays) {
  const DropoutAttrs a{0.25, 5};
  run_.page.seed = 11;
  run_.page.step = 3;
  const RandomStream random(11, DropoutStream(5, 3));
  const TensorData x({1009}, std::vector<double>(1009, 3), kF64);
  const TensorData y = run_.Run1(OpKind::kDropout, {x}, a);
  int kept = 0;
  for (int64_t i = 0; i < 1009; ++i) {
    EXPECT_EQ(y[i], random.Uniform(uint64_t(i)) >= 0.25f ? 4 : 0) << i;
    kept += y[i] != 0;
  }
  EXPECT_NEAR(kept, 0.75 * 1009, 5 * std::sqrt(1009 * 0.25 * 0.75));
  run_.page.step = 4;
  EXPECT_FALSE(run_.Run1(OpKind::kDropout, {x}, a) == y);
}

TEST_F(ReferenceTest, ReductionsOverAnyDimensions) {
  const TensorData x({2, 3, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  EXPECT_THAT(run_.Run1(OpKind::kReduceSum, {x}, ReduceAttrs{0b101, false}).Values(),
              ElementsAre(18, 26, 34));
  EXPECT_THAT(run_.Run1(OpKind::kReduceMean, {x}, ReduceAttrs{0b010, true}).Values(),
              ElementsAre(3, 4, 9, 10));
  EXPECT_THAT(run_.Run1(OpKind::kReduceMax, {x}, ReduceAttrs{0b111, false}).Values(),
              ElementsAre(12));
}

TEST_F(ReferenceTest, SumsOfFloatsRunInDouble) {
  const TensorData x({3}, {1 << 24, 1, 1});
  EXPECT_EQ(run_.Run1(OpKind::kReduceSum, {x}, ReduceAttrs{1, false})[0], (1 << 24) + 2);
}

TEST_F(ReferenceTest, EqualMaximaShareTheGradient) {
  const TensorData dy({2}, {6, 1}), x({2, 3}, {5, 1, 5, 2, 3, 1}), y({2}, {5, 3});
  EXPECT_THAT(run_.Run1(OpKind::kReduceMaxGrad, {dy, x, y}, ReduceAttrs{0b10, false}).Values(),
              ElementsAre(3, 0, 3, 0, 1, 0));
}

TEST_F(ReferenceTest, SoftmaxDoesNotOverflow) {
  const TensorData x({2, 2}, {1000, 1000 + std::log(3.0), 0, -2000}, kF64);
  const TensorData p = run_.Run1(OpKind::kSoftmax, {x}, NoAttrs{});
  EXPECT_NEAR(p[0], 0.25, 1e-12);
  EXPECT_NEAR(p[1], 0.75, 1e-12);
  EXPECT_EQ(p[2], 1);
  EXPECT_EQ(p[3], 0);
  const TensorData log_p = run_.Run1(OpKind::kLogSoftmax, {x}, NoAttrs{});
  EXPECT_NEAR(log_p[0], std::log(0.25), 1e-12);
  EXPECT_EQ(log_p[3], -2000);
}

TEST_F(ReferenceTest, GradientsOfSoftmaxByTheirFormulas) {
  const TensorData dy({1, 2}, {1, 3}, kF64), p({1, 2}, {0.25, 0.75}, kF64);
  EXPECT_THAT(run_.Run1(OpKind::kSoftmaxGrad, {dy, p}, NoAttrs{}).Values(),
              ElementsAre(0.25 * -1.5, 0.75 * 0.5));
  const TensorData log_p({1, 2}, {std::log(0.25), std::log(0.75)}, kF64);
  const TensorData dx = run_.Run1(OpKind::kLogSoftmaxGrad, {dy, log_p}, NoAttrs{});
  EXPECT_DOUBLE_EQ(dx[0], 1 - 0.25 * 4);
  EXPECT_DOUBLE_EQ(dx[1], 3 - 0.75 * 4);
}

TEST_F(ReferenceTest, LayoutOpsMoveElements) {
  const TensorData x({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(run_.Run1(OpKind::kTranspose, {x}, TransposeAttrs{{1, 0}}).Values(),
              ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(run_.Run1(OpKind::kReshape, {x}, ShapeAttrs{{3, 2}, 0}).Values(),
              ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(run_.Run1(OpKind::kSlice, {x}, SliceAttrs{{0, 1}, {2, 2}}).Values(),
              ElementsAre(2, 3, 5, 6));
  EXPECT_THAT(run_.Run1(OpKind::kGather, {x, TensorData({2}, {2, 0})}, AxisAttrs{1}).Values(),
              ElementsAre(3, 1, 6, 4));
  EXPECT_THAT(run_.Run1(OpKind::kPad, {x}, PadAttrs{{0, 1}, {1, 0}, -1}).Values(),
              ElementsAre(-1, 1, 2, 3, -1, 4, 5, 6, -1, -1, -1, -1));
  EXPECT_THAT(run_.Run1(OpKind::kConcat, {x, TensorData({2, 1}, {7, 8})}, AxisAttrs{1}).Values(),
              ElementsAre(1, 2, 3, 7, 4, 5, 6, 8));
  EXPECT_THAT(
      run_.Run1(OpKind::kBroadcastTo, {TensorData({2, 1}, {1, 2})}, ShapeAttrs{{2, 2, 2}, 0})
          .Values(),
      ElementsAre(1, 1, 2, 2, 1, 1, 2, 2));
  run_.fill_dtype = kF64;
  EXPECT_THAT(run_.Run1(OpKind::kFill, {}, ShapeAttrs{{2}, 0.1}).Values(), ElementsAre(0.1, 0.1));
}

TEST_F(ReferenceTest, TransposeUndoesItselfInFourDimensions) {
  const TensorData x = TensorData::Uniform({{2, 3, 5, 7}}, "x");
  const TensorData y = run_.Run1(OpKind::kTranspose, {x}, TransposeAttrs{{2, 0, 3, 1}});
  EXPECT_EQ(y.shape(), Shape({5, 2, 7, 3}));
  EXPECT_EQ(run_.Run1(OpKind::kTranspose, {y}, TransposeAttrs{{1, 3, 0, 2}}), x);
}

// All ops that may run in place and whose operands may be all alike.
TEST_F(ReferenceTest, InPlaceGivesTheSameBits) {
  const TensorType type{{5, 7}};
  int checked = 0;
  for (int i = 0; i < kOpCount; ++i) {
    const OpInfo& op = InfoOf(static_cast<OpKind>(i));
    if (!op.Has(kInplace) || op.max_operands > 2 || op.kind == OpKind::kGateGrad) continue;
    std::vector<TensorData> operands{TensorData::Uniform(type, "a", 0.1, 2)};
    if (op.min_operands == 2) operands.push_back(TensorData::Uniform(type, "b", 0.1, 2));
    RunOptions options;
    options.in_place = true;
    EXPECT_EQ(run_.Run1(op.kind, operands, DefaultAttrs(op.kind), options),
              run_.Run1(op.kind, operands, DefaultAttrs(op.kind)))
        << op.name;
    ++checked;
  }
  EXPECT_EQ(checked, 30);
}

TEST_F(ReferenceTest, InPlaceGradientOfBatchNormGivesTheSameBits) {
  const TensorData dy = TensorData::Uniform({{11, 3}}, "dy");
  const TensorData x = TensorData::Uniform({{11, 3}}, "x");
  const TensorData v = TensorData::Uniform({{3}}, "v", 0.5, 2);
  RunOptions options;
  options.in_place = true;
  EXPECT_EQ(run_.Run(OpKind::kBatchNormGrad, {dy, x, v, v, v}, NormAttrs{}, options),
            run_.Run(OpKind::kBatchNormGrad, {dy, x, v, v, v}, NormAttrs{}));
}

}  // namespace
}  // namespace pocketune::test
