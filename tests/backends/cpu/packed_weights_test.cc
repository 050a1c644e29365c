#include "backends/cpu/packed_weights.h"

#include <gtest/gtest.h>

#include "backends/cpu/cpu_features.h"
#include "tests/backends/cpu/kernel_check.h"

namespace pocketune::test {
namespace {

// Of a pointwise convolution with a bias, `pixels` to a side.
const KernelInfo* KernelFor(int64_t pixels, uint32_t constant_operands, const Attrs& attrs) {
  const Shape image{1, pixels, pixels, 24};
  const TensorType operands[] = {{image}, {{40, 1, 1, 24}}, {{40}}};
  const TensorType results[] = {{{1, pixels, pixels, 40}}};
  return SelectKernel(
      CpuKernels(), {OpKind::kConv2d, operands, results, &attrs, constant_operands, Isa::kAuto, 1});
}

TEST(PackedWeightsTest, ServeWhereTheBiasLearnsButNotTheWeights) {
  EXPECT_STREQ(KernelFor(7, 0b010, ConvAttrs())->name, "cpu.conv2d_packed");
  EXPECT_STREQ(KernelFor(7, 0b100, ConvAttrs())->name, "cpu.conv2d");
}

TEST(PackedWeightsTest, ServeWhereXnnpackLacksTheActivation) {
  ConvAttrs attrs;
  attrs.act = Act::kHardSwish;
  EXPECT_STREQ(KernelFor(7, 0b110, attrs)->name, "cpu.conv2d_packed");
}

TEST(PackedWeightsTest, LeaveFewRowsToDotProducts) {
  EXPECT_STREQ(KernelFor(4, 0b010, ConvAttrs())->name, "cpu.conv2d");
}

TEST(PackedWeightsTest, DoNotRunAtAnotherLevelThanTheyWerePackedAt) {
  const Isa machine = MachineIsa(), lowest = IsaLevels().front();
  if (machine == lowest) GTEST_SKIP() << "this processor has one level alone";
  GemmProblem p;
  p.m = 49;
  p.n = 96;
  p.k = 1000;
  const TensorData b = TensorData::Uniform({{p.k, p.n}}, "b");
  p.b = MatrixOperand(b.view().as<float>(), p.n, false);
  KernelArgs args;
  StepPage page;
  args.page = &page;
  ASSERT_TRUE(PrepareGemm(p, &args.state).ok());
  ASSERT_TRUE(SetIsa(lowest).ok());
  RunPreparedGemm(p, args);
  EXPECT_EQ(page.faults, kFaultKernel);
  ASSERT_TRUE(SetIsa(Isa::kAuto).ok());
  ReleasePacked(args.state);
}

TEST(PackedWeightsTest, SayHowManyPagesTheyTake) {
  GemmProblem p;
  p.m = 49;
  p.n = 96;
  p.k = 1000;
  p.b = MatrixOperand(nullptr, p.k, false);
  EXPECT_EQ(PackedStateBytes(p), (96 * 1000 * 4 / 4096 + 1) * 4096);
  EXPECT_EQ(PackedScratchBytes(p, 2), 2 * PackedScratchBytes(p, 1)) << "nothing shared";
}

}  // namespace
}  // namespace pocketune::test
