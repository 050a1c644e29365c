#include "backends/cpu/cpu_kernels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

TEST(LayoutTest, AReshapeOfTheSameBytesDoesNothing) {
  ThreadPool pool(1);
  TensorData x = TensorData::Uniform({{3, 5}}, "x");
  const TensorData before = x;
  const TensorView operand = x.view();
  TensorView result = operand;
  result.shape = {5, 3};
  KernelArgs args;
  args.operands = {&operand, 1};
  args.results = {&result, 1};
  args.pool = &pool;
  FindKernel(CpuKernels(), "cpu.reshape")->run(args);
  EXPECT_TRUE(x == before);
}

}  // namespace
}  // namespace pocketune::test
