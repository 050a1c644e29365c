#include "engine/base/pages.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <fstream>
namespace pocketune {
namespace {

// Resident KiB of the mapping that `address` lies in; -1 where the system does not say.
int64_t ResidentKib(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(maps, line)) {
    uint64_t begin, end;
    int64_t kib;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2) {
      const uint64_t at = reinterpret_cast<uint64_t>(address);
      inside = begin <= at && at < end;
    } else if (inside && std::sscanf(line.c_str(), "Rss: %" SCNd64 " kB", &kib) == 1) {
      return kib;
    }
  }
  return -1;
}

TEST(PagesTest, AreZeroAndResidentOnlyWhereTouched) {
  constexpr int64_t kBytes = 8 << 20;
  const Result<Pages> pages = Pages::Allocate(kBytes);
  ASSERT_TRUE(pages.ok());
  EXPECT_EQ(ResidentKib(pages.value().data()), 0);
  EXPECT_EQ(pages.value().data()[kBytes - 1], 0);
  pages.value().data()[kBytes / 2] = 1;
  EXPECT_LE(ResidentKib(pages.value().data()), 8);
}

TEST(PagesTest, AreHugeOnRequestAsFarAsWholeOnesFit) {
  constexpr int64_t kBytes = 2 * kHugePageBytes + 5000;
  const Result<Pages> pages = Pages::Allocate(kBytes, Pages::Size::kHuge);
  ASSERT_TRUE(pages.ok());
  uint8_t* data = pages.value().data();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % kHugePageBytes, 0u);
  data[kBytes - 1] = 1;  // behind the last whole one
  EXPECT_LE(ResidentKib(data + 2 * kHugePageBytes), 8);
  data[0] = 1;
  EXPECT_LE(ResidentKib(data), kHugePageBytes >> 10);  // one of the two, or a small page
}

TEST(PagesTest, SayThatMemoryIsShort) {
  const Result<Pages> pages = Pages::Allocate(int64_t{1} << 60);
  EXPECT_EQ(pages.status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace pocketune
