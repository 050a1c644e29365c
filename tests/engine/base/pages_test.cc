#include "engine/base/pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace pocketune {
namespace {

// Resident KiB of `bytes` from the page at `begin` on. Asked page by page: the system may have
// joined the mapping with a neighbour, and counts both then.
int64_t ResidentKib(uint8_t* begin, int64_t bytes) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  std::vector<unsigned char> resident(static_cast<size_t>((bytes + page - 1) / page));
  EXPECT_EQ(mincore(begin, static_cast<size_t>(bytes), resident.data()), 0);
  return page / 1024 * std::count_if(resident.begin(), resident.end(), [](unsigned char bits) {
           return (bits & 1) != 0;
         });
}

TEST(PagesTest, AreZeroAndResidentOnlyWhereTouched) {
  constexpr int64_t kBytes = 8 << 20;
  const Result<Pages> pages = Pages::Allocate(kBytes);
  ASSERT_TRUE(pages.ok());
  EXPECT_EQ(ResidentKib(pages.value().data(), kBytes), 0);
  EXPECT_EQ(pages.value().data()[kBytes - 1], 0);
  pages.value().data()[kBytes / 2] = 1;
  EXPECT_LE(ResidentKib(pages.value().data(), kBytes), 8);
}

TEST(PagesTest, AreHugeOnRequestAsFarAsWholeOnesFit) {
  constexpr int64_t kBytes = 2 * kHugePageBytes + 5000;
  const Result<Pages> pages = Pages::Allocate(kBytes, Pages::Size::kHuge);
  ASSERT_TRUE(pages.ok());
  uint8_t* data = pages.value().data();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % kHugePageBytes, 0u);
  data[kBytes - 1] = 1;  // behind the last whole one
  EXPECT_LE(ResidentKib(data + 2 * kHugePageBytes, 5000), 8);
  data[0] = 1;
  EXPECT_LE(ResidentKib(data, 2 * kHugePageBytes),
            kHugePageBytes >> 10);  // one of the two, or a small page
}

TEST(PagesTest, SayThatMemoryIsShort) {
  const Result<Pages> pages = Pages::Allocate(int64_t{1} << 60);
  EXPECT_EQ(pages.status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace pocketune
