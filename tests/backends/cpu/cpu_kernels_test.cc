#include "backends/cpu/cpu_kernels.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "backends/api/isa_hold.h"
#include "backends/cpu/cpu_features.h"
#include "tests/backends/cpu/isa_levels.h"

namespace pocketune::test {
namespace {

TEST(CpuKernelsTest, HasOneOwnKernelForEveryOp) {
  std::multiset<OpKind> own;
  for (const KernelInfo& row : CpuKernels()) {
    const std::string name = row.name, plain = std::string("cpu.") + InfoOf(row.op).name;
    if (!name.starts_with("cpu.")) continue;
    // Those with packed weights, and Winograd's, serve where they pay alone.
    if (name == plain) {
      own.insert(row.op);
    } else {
      EXPECT_TRUE(name.starts_with(plain + "_")) << name;
    }
  }
  for (int op = 0; op < kOpCount; ++op) {
    EXPECT_EQ(own.count(static_cast<OpKind>(op)), 1u) << InfoOf(static_cast<OpKind>(op)).name;
  }
}

TEST(CpuKernelsTest, NamesEveryRowDifferently) {
  std::set<std::string> names;
  for (const KernelInfo& row : CpuKernels()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

TEST(CpuFeaturesTest, RunsAtTheLevelAskedForAndGoesBackUp) {
  for (Isa isa : IsaLevels()) {
    ASSERT_TRUE(SetIsa(isa).ok());
    EXPECT_EQ(CurrentIsa(), isa);
    EXPECT_NE(MachineIsa(), Isa::kAuto);
  }
  ASSERT_TRUE(SetIsa(Isa::kAuto).ok());
  EXPECT_EQ(CurrentIsa(), MachineIsa());
}

// What an open session was checked for stays: its scratch and packed weights have that level's
// size.
TEST(CpuFeaturesTest, RefusesAnotherLevelWhileASessionIsOpen) {
  const Isa machine = MachineIsa(), lowest = IsaLevels().front();
  if (machine == lowest) GTEST_SKIP() << "this processor has one level alone";
  {
    const IsaHold open;
    EXPECT_EQ(SetIsa(lowest).code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(CurrentIsa(), machine);
    EXPECT_TRUE(SetIsa(machine).ok());
    EXPECT_TRUE(SetIsa(Isa::kAuto).ok());
  }
  EXPECT_TRUE(SetIsa(lowest).ok());
  EXPECT_EQ(CurrentIsa(), lowest);
  EXPECT_TRUE(SetIsa(Isa::kAuto).ok());
}

TEST(CpuFeaturesTest, FindsEachLevelByItsName) {
  for (Isa isa : {Isa::kAuto, Isa::kSse4, Isa::kAvx2, Isa::kAvx512, Isa::kNeon}) {
    EXPECT_EQ(IsaNamed(NameOf(isa)), isa);
  }
  EXPECT_STREQ(NameOf(Isa::kNeon), "neon");
  EXPECT_EQ(IsaNamed("sse"), std::nullopt);
}

TEST(CpuFeaturesTest, RefusesALevelOfAnotherArchitecture) {
  const Isa foreign = MachineIsa() == Isa::kNeon ? Isa::kSse4 : Isa::kNeon;
  EXPECT_EQ(SetIsa(foreign).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(CurrentIsa(), MachineIsa());
}

}  // namespace
}  // namespace pocketune::test
