// Losses and updates of the reference backend, against numbers worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "backends/reference/reference_kernels.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/tensor_data.h"

namespace pocketune::test {
namespace {

constexpr DType kF64 = DType::kF64;
const double kNan = std::numeric_limits<double>::quiet_NaN();

class ReferenceLossTest : public ::testing::Test {
 protected:
  uint32_t faults() const { return run_.page.faults.load(); }
  KernelRunner run_{ReferenceKernels()};
};
using ReferenceUpdateTest = ReferenceLossTest;

// Probabilities 1/4 and 3/4.
const std::vector<double> kLogits = {0, std::log(3.0)};

TEST_F(ReferenceLossTest, CrossEntropySmoothsTheLabel) {
  const TensorData logits({1, 2}, kLogits, kF64);
  const TensorData label({1}, {1}, DType::kI32), weight({1}, {1}, kF64);
  const double quarter = -std::log(0.25), three_quarters = -std::log(0.75);
  const std::vector<TensorData> operands{logits, label, weight};
  EXPECT_DOUBLE_EQ(run_.Run1(OpKind::kSoftmaxCrossEntropy, operands, LossAttrs{})[0],
                   three_quarters);
  EXPECT_DOUBLE_EQ(run_.Run1(OpKind::kSoftmaxCrossEntropy, operands, LossAttrs{0.2})[0],
                   0.8 * three_quarters + 0.2 * (quarter + three_quarters) / 2);
}

TEST_F(ReferenceLossTest, CrossEntropyGradientIsProbabilityLessTarget) {
  const TensorData logits({1, 2}, kLogits, kF64), dloss({}, {2}, kF64);
  const TensorData label({1}, {1}, DType::kI32), weight({1}, {1}, kF64);
  const TensorData dx =
      run_.Run1(OpKind::kSoftmaxCrossEntropyGrad, {dloss, logits, label, weight}, LossAttrs{0.2});
  EXPECT_DOUBLE_EQ(dx[0], 2 * (0.25 - 0.1));
  EXPECT_DOUBLE_EQ(dx[1], 2 * (0.75 - 0.9));
}

TEST_F(ReferenceLossTest, SamplesOfWeightZeroCountForNothing) {
  const TensorData logits({3, 2}, {0, std::log(3.0), kNan, kNan, 0, 0}, kF64);
  const TensorData labels({3}, {0, -7, 1}, DType::kI32), weight({3}, {3, 0, 1}, kF64);
  const TensorData loss =
      run_.Run1(OpKind::kSoftmaxCrossEntropy, {logits, labels, weight}, LossAttrs{});
  EXPECT_DOUBLE_EQ(loss[0], (3 * std::log(4.0) + std::log(2.0)) / 4);
  const TensorData dloss({}, {1}, kF64);
  const TensorData dx =
      run_.Run1(OpKind::kSoftmaxCrossEntropyGrad, {dloss, logits, labels, weight}, LossAttrs{});
  EXPECT_EQ(dx[2], 0);
  EXPECT_EQ(dx[3], 0);
  EXPECT_DOUBLE_EQ(dx[5], -0.125);
  EXPECT_EQ(faults(), 0u);
}

TEST_F(ReferenceLossTest, NoWeightAtAllGivesZero) {
  const TensorData logits({1, 2}, kLogits), zero({1}, {0}), label({1}, {0}, DType::kI32);
  const TensorData one({}, {1});
  EXPECT_EQ(run_.Run1(OpKind::kSoftmaxCrossEntropy, {logits, label, zero}, LossAttrs{})[0], 0);
  EXPECT_EQ(run_.Run1(OpKind::kSoftmaxCrossEntropyGrad, {one, logits, label, zero}, LossAttrs{})[1],
            0);
  EXPECT_EQ(run_.Run1(OpKind::kMeanSquaredError, {logits, logits, zero}, NoAttrs{})[0], 0);
  EXPECT_EQ(run_.Run1(OpKind::kMeanSquaredErrorGrad, {one, logits, logits, zero}, NoAttrs{})[0], 0);
  EXPECT_EQ(faults(), 0u);
}

TEST_F(ReferenceLossTest, ALabelThatIsNoClassRaisesAFault) {
  const TensorData logits({1, 2}, kLogits), weight({1}, {1});
  for (const int label : {2, -1}) {
    run_.page.faults = 0;
    const TensorData labels({1}, {double(label)}, DType::kI32);
    run_.Run1(OpKind::kSoftmaxCrossEntropy, {logits, labels, weight}, LossAttrs{});
    EXPECT_EQ(faults(), kFaultLabel);
  }
}

TEST_F(ReferenceLossTest, ALossThatIsNotFiniteRaisesAFault) {
  const TensorData weight({1}, {1}), label({1}, {0}, DType::kI32);
  run_.Run1(OpKind::kSoftmaxCrossEntropy, {TensorData({1, 2}, {kNan, 0}), label, weight},
            LossAttrs{});
  EXPECT_EQ(faults(), kFaultLoss);
  run_.page.faults = 0;
  const TensorData x({1, 2}, {kNan, 0}), target({1, 2}, {0, 0});
  run_.Run1(OpKind::kMeanSquaredError, {x, target, weight}, NoAttrs{});
  EXPECT_EQ(faults(), kFaultLoss);
}

TEST_F(ReferenceLossTest, SquaredErrorIsAMeanOverElementsThenOverWeights) {
  const TensorData x({2, 2}, {1, 3, 5, 5}, kF64), target({2, 2}, {0, 1, 5, 1}, kF64);
  const TensorData weight({2}, {1, 3}, kF64), dloss({}, {1}, kF64);
  EXPECT_DOUBLE_EQ(run_.Run1(OpKind::kMeanSquaredError, {x, target, weight}, NoAttrs{})[0],
                   (2.5 + 3 * 8) / 4);
  const TensorData dx =
      run_.Run1(OpKind::kMeanSquaredErrorGrad, {dloss, x, target, weight}, NoAttrs{});
  EXPECT_DOUBLE_EQ(dx[1], 0.25 * 2);
  EXPECT_DOUBLE_EQ(dx[3], 0.75 * 4);
}

TEST_F(ReferenceUpdateTest, SgdAddsTheDecayToTheGradient) {
  OptimizerAttrs a;
  a.lr_scale = 0.5;
  a.weight_decay = 0.1;
  run_.page.learning_rate = 0.2;
  const TensorData w({1}, {2}, kF64), g({1}, {3}, kF64);
  EXPECT_DOUBLE_EQ(run_.Run1(OpKind::kSgd, {w, g}, a)[0], 2 - 0.1 * (3 + 0.1 * 2));
}

TEST_F(ReferenceUpdateTest, OnlyTheSlicesThatTheIndexNumbersChange) {
  run_.page.learning_rate = 1;
  const TensorData w({2, 3}, {1, 2, 3, 4, 5, 6}, kF64), index({2}, {0, 2}, kF64);
  const TensorData g({2, 2}, {0.1, 0.3, 0.4, 0.6}, kF64);
  EXPECT_EQ(run_.Run1(OpKind::kSgd, {w, g, index}, OptimizerAttrs{}).Values(),
            (std::vector<double>{1 - 0.1, 2, 3 - 0.3, 4 - 0.4, 5, 6 - 0.6}));
}

TEST_F(ReferenceUpdateTest, MomentumAndNesterovFollowPyTorch) {
  OptimizerAttrs a;
  a.momentum = 0.9;
  TensorData w({1}, {2}, kF64), v({1}, {0}, kF64);
  const TensorData g({1}, {3}, kF64);
  std::vector<TensorData> r = run_.Run(OpKind::kMomentum, {w, v, g}, a);
  EXPECT_DOUBLE_EQ(r[1][0], 3);
  EXPECT_DOUBLE_EQ(r[0][0], 2 - 0.1 * 3);
  r = run_.Run(OpKind::kMomentum, {r[0], r[1], g}, a);
  EXPECT_DOUBLE_EQ(r[1][0], 0.9 * 3 + 3);
  EXPECT_DOUBLE_EQ(r[0][0], 1.7 - 0.1 * 5.7);
  a.nesterov = true;
  r = run_.Run(OpKind::kMomentum, {w, v, g}, a);
  EXPECT_DOUBLE_EQ(r[0][0], 2 - 0.1 * (3 + 0.9 * 3));
  EXPECT_DOUBLE_EQ(r[1][0], 3);
}

TEST_F(ReferenceUpdateTest, AdamWCorrectsTheBiasAndDecouplesTheDecay) {
  OptimizerAttrs a;
  a.weight_decay = 0.01;
  const TensorData w({1}, {2}, kF64), zero({1}, {0}, kF64), g({1}, {3}, kF64);
  std::vector<TensorData> r = run_.Run(OpKind::kAdamW, {w, zero, zero, g}, a);
  // In the first step the corrected moments are g and g^2.
  EXPECT_DOUBLE_EQ(r[0][0], 2 * (1 - 0.1 * 0.01) - 0.1 * 3 / (3 + 1e-8));
  EXPECT_DOUBLE_EQ(r[1][0], 0.1 * 3);
  EXPECT_NEAR(r[2][0], 0.001 * 9, 1e-15);
  run_.page.step = 2;
  const double first = r[0][0];
  r = run_.Run(OpKind::kAdamW, {r[0], r[1], r[2], TensorData({1}, {-1}, kF64)}, a);
  const double m = 0.9 * 0.3 - 0.1, v = 0.999 * 0.009 + 0.001;
  const double step = m / (1 - 0.81) / (std::sqrt(v / (1 - 0.999 * 0.999)) + 1e-8);
  EXPECT_NEAR(r[0][0], first * (1 - 0.001) - 0.1 * step, 1e-12);
}

TEST_F(ReferenceUpdateTest, RunningVarianceTakesTheUnbiasedOne) {
  const TensorData mean({1}, {1}, kF64), var({1}, {2}, kF64);
  const TensorData batch_mean({1}, {5}, kF64), batch_var({1}, {8}, kF64);
  const std::vector<TensorData> operands{mean, var, batch_mean, batch_var};
  std::vector<TensorData> r =
      run_.Run(OpKind::kBatchNormUpdate, operands, NormUpdateAttrs{0.25, 5});
  EXPECT_DOUBLE_EQ(r[0][0], 0.75 * 1 + 0.25 * 5);
  EXPECT_DOUBLE_EQ(r[1][0], 0.75 * 2 + 0.25 * 8 * 5 / 4);
  r = run_.Run(OpKind::kBatchNormUpdate, operands, NormUpdateAttrs{0.25, 1});
  EXPECT_DOUBLE_EQ(r[1][0], 0.75 * 2 + 0.25 * 8);
}

// Each update with a gradient (the last operand) of which one element is not finite, and with a
// fault raised before.
TEST_F(ReferenceUpdateTest, NothingIsWrittenInAStepWithAFault) {
  const TensorData good = TensorData::Uniform({{7}}, "good");
  for (const OpKind op :
       {OpKind::kSgd, OpKind::kMomentum, OpKind::kAdamW, OpKind::kBatchNormUpdate}) {
    Attrs attrs = DefaultAttrs(op);
    if (auto* norm = std::get_if<NormUpdateAttrs>(&attrs)) norm->count = 9;
    std::vector<TensorData> operands(size_t(InfoOf(op).min_operands), good);
    run_.page.faults = 0;
    std::vector<TensorData> r = run_.Run(op, operands, attrs);
    EXPECT_EQ(faults(), 0u);
    if (op != OpKind::kBatchNormUpdate) {
      EXPECT_FALSE(r[0] == good) << InfoOf(op).name;
    }
    run_.page.faults = kFaultLoss;
    for (const TensorData& result : run_.Run(op, operands, attrs)) EXPECT_EQ(result, good);
    for (const double bad : {kNan, -std::numeric_limits<double>::infinity()}) {
      run_.page.faults = 0;
      operands.back().Set(6, bad);
      for (const TensorData& result : run_.Run(op, operands, attrs)) EXPECT_EQ(result, good);
      EXPECT_EQ(faults(), kFaultGradient) << InfoOf(op).name;
    }
  }
}

}  // namespace
}  // namespace pocketune::test
