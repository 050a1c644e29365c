// Vector math against the C library in double, element by element.
#include <cmath>
#include <functional>
#include <limits>

#include "backends/cpu/cpu_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class VectorMathTest : public IsaTest {
 protected:
  TensorData Run(OpKind op, const TensorData& x) {
    return KernelRunner(CpuKernels()).Run1(op, {x}, DefaultAttrs(op));
  }

  // Largest |got - want| / |want| over n points in [lo, hi).
  double WorstError(OpKind op, double lo, double hi, const std::function<double(double)>& want) {
    const TensorData x = TensorData::Uniform({{20011}}, "x", lo, hi);
    const TensorData y = Run(op, x);
    double worst = 0;
    for (int64_t i = 0; i < x.elems(); ++i) {
      worst = std::max(worst, std::abs(y[i] - want(x[i])) / std::abs(want(x[i])));
    }
    return worst;
  }
};

double SigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }
double SoftplusOf(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }

TEST_P(VectorMathTest, IsAccurateToAFewUlps) {
  constexpr double kFourUlps = 4 * 0x1p-23;
  for (double reach : {0.01, 1.0, 10.0, 85.0}) {
    SCOPED_TRACE(reach);
    const auto exp = [](double x) { return std::exp(x); };
    const auto tanh = [](double x) { return std::tanh(x); };
    const auto silu = [](double x) { return x * SigmoidOf(x); };
    EXPECT_LE(WorstError(OpKind::kExp, -reach, reach, exp), kFourUlps);
    EXPECT_LE(WorstError(OpKind::kTanh, -reach, reach, tanh), kFourUlps);
    EXPECT_LE(WorstError(OpKind::kSigmoid, -reach, reach, SigmoidOf), kFourUlps);
    EXPECT_LE(WorstError(OpKind::kSilu, -reach, reach, silu), kFourUlps);
    EXPECT_LE(WorstError(OpKind::kSoftplus, -reach, reach, SoftplusOf), kFourUlps);
  }
  const auto log = [](double x) { return std::log(x); };
  EXPECT_LE(WorstError(OpKind::kLog, 1e-30, 1e-20, log), kFourUlps);
  EXPECT_LE(WorstError(OpKind::kLog, 0.9, 1.1, log), kFourUlps);
  EXPECT_LE(WorstError(OpKind::kLog, 1, 1e9, log), kFourUlps);
}

TEST_P(VectorMathTest, KnowsTheEdgesOfItsDomain) {
  const TensorData x({7}, {kInf, -kInf, 0, -1, 200, -200, kNan});
  const auto expect = [&](OpKind op, std::vector<double> want) {
    const TensorData y = Run(op, x);
    for (int64_t i = 0; i < x.elems(); ++i) {
      const double w = want[size_t(i)];
      EXPECT_TRUE(std::isnan(w) ? std::isnan(y[i]) : std::abs(y[i] - w) < 1e-6 || y[i] == w)
          << InfoOf(op).name << "(" << x[i] << ") = " << y[i];
    }
  };
  expect(OpKind::kExp, {kInf, 0, 1, std::exp(-1), kInf, 0, kNan});
  expect(OpKind::kLog, {kInf, kNan, -kInf, kNan, std::log(200), kNan, kNan});
  expect(OpKind::kSigmoid, {1, 0, 0.5, SigmoidOf(-1), 1, 0, kNan});
  expect(OpKind::kTanh, {1, -1, 0, std::tanh(-1), 1, -1, kNan});
  expect(OpKind::kSoftplus, {kInf, 0, std::log(2), SoftplusOf(-1), 200, 0, kNan});
}

// The numerical guard finds a NaN only if no activation turns it into a number.
TEST_P(VectorMathTest, KeepsNan) {
  const TensorData x({3}, {1, kNan, -1});
  for (OpKind op : {OpKind::kRelu, OpKind::kRelu6, OpKind::kHardSwish, OpKind::kHardSigmoid,
                    OpKind::kSilu, OpKind::kSigmoid, OpKind::kTanh, OpKind::kSoftplus,
                    OpKind::kClamp, OpKind::kExp, OpKind::kLog, OpKind::kSqrt}) {
    EXPECT_TRUE(std::isnan(Run(op, x)[1])) << InfoOf(op).name;
  }
}

PT_INSTANTIATE_FOR_ISA_LEVELS(VectorMathTest);

}  // namespace
}  // namespace pocketune::test
