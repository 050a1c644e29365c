#include <gtest/gtest.h>

#include "tests/backends/cpu/kernel_check.h"

namespace pocketune::test {
namespace {

struct Sizes {
  int64_t m, n, k;
};

// Around the edges of panels (14, 6, 8 rows; 32, 16, 8 columns), blocks (256 deep), the paths for
// few rows (16) and for operands read in place (128 columns, 56 rows), the split of a long sum.
constexpr Sizes kSizes[] = {{1, 1, 1},     {1, 7, 3},     {3, 101, 67},  {16, 33, 300},
                            {17, 5, 259},  {29, 31, 37},  {43, 97, 513}, {85, 64, 31},
                            {170, 193, 7}, {331, 13, 5},  {17, 9, 5003}, {55, 32, 300},
                            {18, 128, 40}, {58, 129, 260}};

TensorData Matrix(int64_t rows, int64_t cols, bool transposed, const char* name, double range = 1) {
  return TensorData::Uniform({transposed ? Shape{cols, rows} : Shape{rows, cols}}, name, -range,
                             range);
}

class MatmulTest : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  MatmulAttrs Attributes() const {
    return {std::get<0>(GetParam()), std::get<1>(GetParam()), Act::kNone};
  }
};

TEST_P(MatmulTest, AgreesWithTheReference) {
  const MatmulAttrs attrs = Attributes();
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    CheckOwnKernel(OpKind::kMatmul,
                   {Matrix(s.m, s.k, attrs.trans_a, "a"), Matrix(s.k, s.n, attrs.trans_b, "b")},
                   attrs);
  }
}

// Sums stay small, so that an activation's bounds do not make their rounding look large.
TEST_P(MatmulTest, AddsTheBiasAndAppliesTheActivation) {
  MatmulAttrs attrs = Attributes();
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    const TensorData a = Matrix(s.m, s.k, attrs.trans_a, "a", 0.1);
    const TensorData b = Matrix(s.k, s.n, attrs.trans_b, "b");
    for (Act act : {Act::kNone, Act::kRelu6, Act::kTanh}) {
      attrs.act = act;
      CheckOwnKernel(OpKind::kMatmul, {a, b, TensorData::Uniform({{s.n}}, "bias")}, attrs, 1);
    }
  }
}

TEST_P(MatmulTest, MultipliesBatchByBatch) {
  const MatmulAttrs attrs = Attributes();
  const TensorData a =
      TensorData::Uniform({attrs.trans_a ? Shape{2, 3, 11, 19} : Shape{2, 3, 19, 11}}, "a");
  const TensorData b =
      TensorData::Uniform({attrs.trans_b ? Shape{2, 3, 37, 11} : Shape{2, 3, 11, 37}}, "b");
  CheckOwnKernel(OpKind::kMatmul, {a, b}, attrs);
}

TEST_P(MatmulTest, MultipliesABatchWithOneSharedMatrix) {
  const MatmulAttrs attrs = Attributes();
  const TensorData a =
      TensorData::Uniform({attrs.trans_a ? Shape{5, 11, 23} : Shape{5, 23, 11}}, "a");
  CheckOwnKernel(OpKind::kMatmul,
                 {a, Matrix(11, 13, attrs.trans_b, "b"), TensorData::Uniform({{13}}, "bias")},
                 attrs);
}

INSTANTIATE_TEST_SUITE_P(Transposes, MatmulTest, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) ? "T" : "N") +
                                  (std::get<1>(info.param) ? "T" : "N");
                         });

}  // namespace
}  // namespace pocketune::test
