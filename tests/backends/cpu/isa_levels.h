// Tests that run at each instruction-set level of the machine.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backends/cpu/cpu_kernels.h"

namespace pocketune::test {

inline std::vector<Isa> IsaLevels() {
  std::vector<Isa> levels;
  for (Isa isa : {Isa::kSse4, Isa::kAvx2, Isa::kAvx512, Isa::kNeon}) {
    if (SetIsa(isa).ok()) levels.push_back(isa);
  }
  (void)SetIsa(Isa::kAuto);
  return levels;
}

class IsaTest : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { ASSERT_TRUE(SetIsa(GetParam()).ok()); }
  void TearDown() override { ASSERT_TRUE(SetIsa(Isa::kAuto).ok()); }
};

#define PT_INSTANTIATE_FOR_ISA_LEVELS(suite)                                                \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, ::testing::ValuesIn(::pocketune::test::IsaLevels()), \
                           [](const auto& info) { return std::string(NameOf(info.param)); })

}  // namespace pocketune::test
