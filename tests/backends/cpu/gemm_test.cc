#include "backends/cpu/gemm.h"

#include <gtest/gtest.h>

#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/tensor_data.h"

namespace pocketune::test {
namespace {

class GemmTest : public IsaTest {
 protected:
  static void Run(const GemmProblem& p, int threads = 1) {
    ThreadPool pool(threads);
    AlignedBytes scratch(GemmScratchBytes(p, threads));
    Gemm(p, scratch.data(), &pool);
    EXPECT_TRUE(scratch.GuardIntact());
  }
};

TEST_P(GemmTest, TouchesOnlyTheProductWithinALargerMatrix) {
  constexpr int64_t kM = 37, kN = 41, kK = 29, kLda = 31, kLdb = 43, kLdc = 47;
  const TensorData a = TensorData::Uniform({{kM, kLda}}, "a");
  const TensorData b = TensorData::Uniform({{kK, kLdb}}, "b");
  TensorData c = TensorData::Uniform({{kM, kLdc}}, "c");
  const TensorData before = c;
  GemmProblem p;
  p.m = kM;
  p.n = kN;
  p.k = kK;
  p.a = MatrixOperand(a.view().as<float>(), kLda, false);
  p.b = MatrixOperand(b.view().as<float>(), kLdb, true);
  p.c = MatrixOutput(c.view().as<float>(), kLdc);
  Run(p);
  for (int64_t i = 0; i < kM; ++i) {
    for (int64_t j = 0; j < kN; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < kK; ++k) sum += a[i * kLda + k] * b[k * kLdb + j];
      ASSERT_NEAR(c[i * kLdc + j], sum, 1e-5) << i << ", " << j;
    }
    for (int64_t j = kN; j < kLdc; ++j) ASSERT_EQ(c[i * kLdc + j], before[i * kLdc + j]);
  }
}

TEST_P(GemmTest, GivesTheBiasWhereThereIsNothingToSum) {
  const TensorData bias = TensorData::Uniform({{5}}, "bias");
  TensorData c({{3, 5}});
  GemmProblem p;
  p.m = 3;
  p.n = 5;
  p.c = MatrixOutput(c.view().as<float>(), 5);
  p.bias = bias.view().as<float>();
  p.act = Act::kRelu;
  Run(p);
  for (int64_t i = 0; i < c.elems(); ++i) EXPECT_EQ(c[i], std::max(0.0, bias[i % 5]));
}

TEST_P(GemmTest, SplitsALongSumTheSameWayForAnyNumberOfThreads) {
  constexpr int64_t kM = 17, kN = 9, kK = 20011;
  const TensorData a = TensorData::Uniform({{kK, kM}}, "a");
  const TensorData b = TensorData::Uniform({{kK, kN}}, "b");
  TensorData one({{kM, kN}}), three({{kM, kN}});
  GemmProblem p;
  p.m = kM;
  p.n = kN;
  p.k = kK;
  p.a = MatrixOperand(a.view().as<float>(), kM, true);
  p.b = MatrixOperand(b.view().as<float>(), kN, true);
  p.c = MatrixOutput(one.view().as<float>(), kN);
  Run(p);
  p.c = MatrixOutput(three.view().as<float>(), kN);
  Run(p, 3);
  EXPECT_TRUE(one == three);
}

PT_INSTANTIATE_FOR_ISA_LEVELS(GemmTest);

}  // namespace
}  // namespace pocketune::test
