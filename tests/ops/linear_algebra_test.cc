// The reference backend's linear algebra against Eigen: an oracle that shares no code with it.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cstdint>
#include <vector>

#include "backends/reference/reference_kernels.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/tensor_data.h"

namespace pocketune::test {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

constexpr DType kF64 = DType::kF64;
constexpr double kTolerance = 1e-12;

// Elements from `offset` on as a matrix.
Matrix MatrixOf(const TensorData& tensor, int64_t rows, int64_t cols, int64_t offset = 0) {
  const std::vector<double> values = tensor.Values();
  return Eigen::Map<const Matrix>(values.data() + offset, rows, cols);
}

void ExpectNear(const TensorData& got, const Matrix& want, int64_t offset = 0) {
  for (int64_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[offset + i], want.data()[i], kTolerance) << "element " << i;
  }
}

class LinearAlgebraTest : public ::testing::Test {
 protected:
  KernelRunner run_{ReferenceKernels()};
};

TEST_F(LinearAlgebraTest, MatrixProductsAreEigens) {
  constexpr int64_t kBatch = 3, kM = 5, kN = 7, kK = 11;
  for (const bool trans_a : {false, true}) {
    for (const bool trans_b : {false, true}) {
      const Shape a_shape = trans_a ? Shape{kBatch, kK, kM} : Shape{kBatch, kM, kK};
      const Shape b_shape = trans_b ? Shape{kBatch, kN, kK} : Shape{kBatch, kK, kN};
      const TensorData a = TensorData::Uniform({a_shape, kF64}, "a");
      const TensorData b = TensorData::Uniform({b_shape, kF64}, "b");
      const TensorData bias = TensorData::Uniform({{kN}, kF64}, "bias");
      const TensorData got =
          run_.Run1(OpKind::kMatmul, {a, b, bias}, MatmulAttrs{trans_a, trans_b});
      ASSERT_EQ(got.shape(), Shape({kBatch, kM, kN}));
      for (int64_t i = 0; i < kBatch; ++i) {
        Matrix left = MatrixOf(a, a_shape[1], a_shape[2], i * kM * kK);
        Matrix right = MatrixOf(b, b_shape[1], b_shape[2], i * kK * kN);
        if (trans_a) left = Matrix(left.transpose());
        if (trans_b) right = Matrix(right.transpose());
        const Matrix want = (left * right).rowwise() + MatrixOf(bias, 1, kN).row(0);
        ExpectNear(got, want, i * kM * kN);
      }
    }
  }
}

struct ConvCase {
  Shape x, w;  // [N,H,W,C], [O,KH,KW,C]
  ConvAttrs attrs;
};

const ConvCase kConvCases[] = {
    {{2, 7, 5, 3}, {5, 3, 3, 3}, {.pad = {1, 1, 1, 1}}},
    {{1, 11, 7, 2}, {4, 3, 2, 2}, {.stride = {2, 3}, .pad = {0, 3, 2, 0}, .dilation = {2, 1}}},
    {{3, 1, 1, 7}, {5, 1, 1, 7}, {}},
    {{2, 5, 5, 2}, {3, 7, 7, 2}, {.stride = {3, 2}, .pad = {4, 1, 3, 3}}},
};

// A row for each pixel of the result, a column for each weight of one output channel.
Matrix PatchesOf(const TensorData& x, const ConvCase& c, const Shape& y) {
  Matrix patches = Matrix::Zero(y[0] * y[1] * y[2], c.w[1] * c.w[2] * c.w[3]);
  for (int64_t row = 0; row < patches.rows(); ++row) {
    const int64_t n = row / (y[1] * y[2]), oy = row / y[2] % y[1], ox = row % y[2];
    for (int64_t col = 0; col < patches.cols(); ++col) {
      const int64_t ky = col / (c.w[2] * c.w[3]), kx = col / c.w[3] % c.w[2], k = col % c.w[3];
      const int64_t iy = oy * c.attrs.stride[0] - c.attrs.pad[0] + ky * c.attrs.dilation[0];
      const int64_t ix = ox * c.attrs.stride[1] - c.attrs.pad[2] + kx * c.attrs.dilation[1];
      if (iy < 0 || iy >= c.x[1] || ix < 0 || ix >= c.x[2]) continue;
      patches(row, col) = x[((n * c.x[1] + iy) * c.x[2] + ix) * c.x[3] + k];
    }
  }
  return patches;
}

TEST_F(LinearAlgebraTest, ConvolutionsAreProductsOfTheirPatches) {
  for (const ConvCase& c : kConvCases) {
    const TensorData x = TensorData::Uniform({c.x, kF64}, "x");
    const TensorData w = TensorData::Uniform({c.w, kF64}, "w");
    const TensorData y = run_.Run1(OpKind::kConv2d, {x, w}, c.attrs);
    const Matrix patches = PatchesOf(x, c, y.shape());
    const Matrix weights = MatrixOf(w, c.w[0], patches.cols());
    ExpectNear(y, patches * weights.transpose());
  }
}

TEST_F(LinearAlgebraTest, GradientsOfFiltersAreProductsOfPatchesToo) {
  for (const ConvCase& c : kConvCases) {
    const TensorData x = TensorData::Uniform({c.x, kF64}, "x");
    const TensorData w = TensorData::Uniform({c.w, kF64}, "w");
    const TensorData y = run_.Run1(OpKind::kConv2d, {x, w}, c.attrs);
    const TensorData dy = TensorData::Uniform(y.type(), "dy");
    ConvGradAttrs grad;
    std::copy_n(c.attrs.stride, 2, grad.stride);
    std::copy_n(c.attrs.pad, 4, grad.pad);
    std::copy_n(c.attrs.dilation, 2, grad.dilation);
    grad.size[0] = int32_t(c.w[1]);
    grad.size[1] = int32_t(c.w[2]);
    const TensorData got = run_.Run1(OpKind::kConv2dGradFilter, {dy, x}, grad);
    const Matrix patches = PatchesOf(x, c, y.shape());
    ExpectNear(got, MatrixOf(dy, patches.rows(), c.w[0]).transpose() * patches);
  }
}

TEST_F(LinearAlgebraTest, CrossEntropyAndItsGradientFollowFromTheSoftmax) {
  constexpr int64_t kSamples = 5, kClasses = 7;
  constexpr double kSmoothing = 0.125;
  const TensorData logits = TensorData::Uniform({{kSamples, kClasses}, kF64}, "logits", -4, 4);
  const TensorData labels({kSamples}, {6, 0, 3, 3, 1}, DType::kI32);
  const TensorData weight({kSamples}, {1, 0.5, 0, 2, 1}, kF64);
  const Matrix shares = [&] {
    const Matrix raised = MatrixOf(logits, kSamples, kClasses).array().exp();
    return Matrix(raised.array().colwise() / raised.rowwise().sum().array());
  }();
  Matrix target = Matrix::Constant(kSamples, kClasses, kSmoothing / kClasses);
  for (int64_t i = 0; i < kSamples; ++i) target(i, int64_t(labels[i])) += 1 - kSmoothing;
  const Vector weights = MatrixOf(weight, kSamples, 1).col(0);
  const Vector losses = -(target.array() * shares.array().log()).rowwise().sum();
  const LossAttrs attrs{kSmoothing};
  const TensorData loss = run_.Run1(OpKind::kSoftmaxCrossEntropy, {logits, labels, weight}, attrs);
  EXPECT_NEAR(loss[0], losses.dot(weights) / weights.sum(), kTolerance);

  const TensorData dloss({}, {3}, kF64);
  const TensorData got =
      run_.Run1(OpKind::kSoftmaxCrossEntropyGrad, {dloss, logits, labels, weight}, attrs);
  ExpectNear(got, 3 / weights.sum() * weights.asDiagonal() * (shares - target));
}

// For a linear model under the squared loss, the gradient is zero where the normal equations hold.
TEST_F(LinearAlgebraTest, TheGradientOfLeastSquaresVanishesAtEigensSolution) {
  constexpr int64_t kSamples = 11, kInputs = 5, kOutputs = 3;
  const TensorData x = TensorData::Uniform({{kSamples, kInputs}, kF64}, "x");
  const TensorData target = TensorData::Uniform({{kSamples, kOutputs}, kF64}, "target");
  const Matrix a = MatrixOf(x, kSamples, kInputs), b = MatrixOf(target, kSamples, kOutputs);
  const Matrix solution = a.colPivHouseholderQr().solve(b);
  const TensorData w({kInputs, kOutputs},
                     std::vector<double>(solution.data(), solution.data() + solution.size()), kF64);
  const TensorData y = run_.Run1(OpKind::kMatmul, {x, w}, MatmulAttrs{});
  const TensorData ones({kSamples}, std::vector<double>(kSamples, 1), kF64);
  const TensorData dloss({}, {1}, kF64);
  const TensorData dy =
      run_.Run1(OpKind::kMeanSquaredErrorGrad, {dloss, y, target, ones}, NoAttrs{});
  const TensorData dw = run_.Run1(OpKind::kMatmul, {x, dy}, MatmulAttrs{.trans_a = true});
  ExpectNear(dw, Matrix::Zero(kInputs, kOutputs));
}

}  // namespace
}  // namespace pocketune::test
