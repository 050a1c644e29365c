#include <limits>

#include "backends/cpu/cpu_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {
namespace {

struct Update {
  OpKind op;
  Attrs attrs;
  size_t values;  // operands that it overwrites; the next one is checked
  size_t operands;
};

const Update kUpdates[] = {
    {OpKind::kSgd, OptimizerAttrs(), 1, 2},
    {OpKind::kMomentum, OptimizerAttrs(), 2, 3},
    {OpKind::kAdamW, OptimizerAttrs(), 3, 4},
    {OpKind::kBatchNormUpdate, NormUpdateAttrs{0.1, 7}, 2, 4},
};

class UpdateTest : public IsaTest {
 protected:
  static constexpr int64_t kElems = 40009;  // more than one work item

  static std::vector<TensorData> Operands(const Update& update) {
    return std::vector<TensorData>(update.operands, TensorData::Uniform({{kElems}}, "x", 0.5, 1));
  }
  static void ExpectUntouched(const Update& update, const std::vector<TensorData>& operands,
                              const std::vector<TensorData>& results) {
    for (size_t i = 0; i < update.values; ++i) {
      EXPECT_TRUE(results[i] == operands[i]) << InfoOf(update.op).name << " wrote result " << i;
    }
  }

  KernelRunner cpu_{CpuKernels(), 2};
};

TEST_P(UpdateTest, WritesNothingInAStepWithAFault) {
  cpu_.page.Raise(kFaultLoss);
  for (const Update& update : kUpdates) {
    const auto operands = Operands(update);
    ExpectUntouched(update, operands, cpu_.Run(update.op, operands, update.attrs));
  }
}

TEST_P(UpdateTest, AGradientThatIsNotFiniteIsAFaultBeforeAnyWrite) {
  for (const Update& update : kUpdates) {
    for (double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity()}) {
      for (int64_t at : {int64_t{0}, kElems / 2, kElems - 1}) {
        cpu_.page.faults = 0;
        auto operands = Operands(update);
        operands[update.values].Set(at, bad);
        ExpectUntouched(update, operands, cpu_.Run(update.op, operands, update.attrs));
        EXPECT_EQ(cpu_.page.faults.load(), kFaultGradient);
      }
    }
  }
}

PT_INSTANTIATE_FOR_ISA_LEVELS(UpdateTest);

}  // namespace
}  // namespace pocketune::test
