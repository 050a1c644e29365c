#include "engine/base/resident_memory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/pages.h"

namespace pocketune {
namespace {

TEST(ResidentMemoryTest, CountsWhatIsTouchedAndThePeakRemembersIt) {
  constexpr int64_t kBytes = 64 << 20, kSlack = 8 << 20;
  if (ResidentBytes() == 0) GTEST_SKIP() << "the system keeps no count";
  const int64_t before = ResidentBytes();
  {
    Result<Pages> pages = Pages::Allocate(kBytes);
    ASSERT_TRUE(pages.ok());
    std::fill_n(pages.value().data(), kBytes, uint8_t{1});
    EXPECT_GE(ResidentBytes(), before + kBytes - kSlack);
  }
  EXPECT_LE(ResidentBytes(), before + kSlack);
  EXPECT_GE(PeakResidentBytes(), before + kBytes - kSlack);
  RestartResidentPeak();
  EXPECT_LE(PeakResidentBytes(), before + kSlack);
}

}  // namespace
}  // namespace pocketune
