#include "engine/base/mapped_file.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "engine/base/pages.h"
#include "tests/support/temp_folder.h"

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

int64_t SumEachPage(const uint8_t* data, int64_t bytes) {
  int64_t sum = 0;
  for (int64_t i = 0; i < bytes; i += 4096) sum += static_cast<const volatile uint8_t*>(data)[i];
  return sum;
}

TEST(MappedFileTest, OutlivesTheFileAndGivesPagesBack) {
  constexpr int64_t kBytes = 4 << 20;
  const test::TempFolder folder;
  test::WriteBytes(folder.File("x"), std::vector<uint8_t>(kBytes, 3));
  const Result<ReadableFile> file = ReadableFile::Open(folder.File("x").c_str());
  ASSERT_TRUE(file.ok());
  Result<MappedFile> mapped = MappedFile::Map(file.value());
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(mapped->bytes(), kBytes);
  std::filesystem::remove(folder.File("x"));
  const MappedFile kept = std::move(mapped.value());
  EXPECT_EQ(SumEachPage(kept.data(), kBytes), 3 * kBytes / 4096);
  const int64_t touched = ResidentKib(kept.data());
  if (touched < 0) GTEST_SKIP() << "the system does not tell resident memory";
  EXPECT_GE(touched, kBytes / 1024);
  kept.GiveBack(kept.data() + 100, kBytes - 100);
  EXPECT_EQ(ResidentKib(kept.data()), 0);
  EXPECT_EQ(SumEachPage(kept.data(), kBytes), 3 * kBytes / 4096);
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

TEST(PagesTest, SayThatMemoryIsShort) {
  const Result<Pages> pages = Pages::Allocate(int64_t{1} << 60);
  EXPECT_EQ(pages.status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace pocketune
