#include "engine/plan/plan_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "engine/plan/plan_verify.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_plan.h"

namespace pocketune {
namespace {

using Bytes = std::vector<uint8_t>;

StatusCode OpenCode(const std::string& path) {
  return PlanFile::Open(path.c_str()).status().code();
}

TEST(PlanFileTest, OpensWhatWasWritten) {
  const test::TempFolder folder;
  const test::PlanSpec spec = test::TinyPlan();
  test::WriteBytes(folder.File("p"), test::BuildPlanFile(spec));
  const Result<PlanFile> file = PlanFile::Open(folder.File("p").c_str());
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file.value().plan().name()->str(), "tiny");
  const PlanFile& plan = file.value();
  const std::vector<uint8_t> zeros(spec.segment.size() * 4);
  EXPECT_EQ(std::memcmp(plan.segment(), zeros.data(), zeros.size()), 0);
  ASSERT_TRUE(plan.Load(plan.segment() + 4, int64_t(zeros.size()) - 8).ok());
  EXPECT_EQ(std::memcmp(plan.segment(), zeros.data(), 4), 0);
  EXPECT_EQ(std::memcmp(plan.segment() + 4, spec.segment.data() + 1, zeros.size() - 8), 0);
  EXPECT_EQ(std::memcmp(plan.segment() + zeros.size() - 4, zeros.data(), 4), 0);
  float second[2];
  ASSERT_TRUE(file.value().ReadSegment(4, {reinterpret_cast<uint8_t*>(second), 8}).ok());
  EXPECT_EQ(second[0], spec.segment[1]);
  EXPECT_EQ(second[1], spec.segment[2]);
}

TEST(PlanFileTest, TellsPlansApart) {
  const test::TempFolder folder;
  test::PlanSpec spec = test::TinyPlan();
  test::WriteBytes(folder.File("a"), test::BuildPlanFile(spec));
  spec.segment[3] += 1;
  test::WriteBytes(folder.File("b"), test::BuildPlanFile(spec));
  const Result<PlanFile> a = PlanFile::Open(folder.File("a").c_str());
  const Result<PlanFile> b = PlanFile::Open(folder.File("b").c_str());
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a.value().identity(), b.value().identity());
}

TEST(PlanFileTest, TellsForeignNewAndMissingFilesApart) {
  const test::TempFolder folder;
  EXPECT_EQ(OpenCode(folder.File("none")), StatusCode::kNotFound);
  for (const size_t bytes : {0, 1, 63, 64, 5000}) {
    test::WriteBytes(folder.File("zeros"), Bytes(bytes));
    EXPECT_EQ(OpenCode(folder.File("zeros")), StatusCode::kInvalidArgument);
  }
  Bytes file = test::BuildPlanFile(test::TinyPlan());
  file[offsetof(PlanHeader, version)] = kPlanVersion + 1;
  test::FixPlanChecksums(file);
  test::WriteBytes(folder.File("new"), file);
  EXPECT_EQ(OpenCode(folder.File("new")), StatusCode::kUnimplemented);
}

TEST(PlanFileTest, OpensTheSamePlanFromMemoryAtAnyAlignment) {
  const test::TempFolder folder;
  const test::PlanSpec spec = test::TinyPlan();
  const Bytes bytes = test::BuildPlanFile(spec);
  test::WriteBytes(folder.File("p"), bytes);
  const Result<PlanFile> file = PlanFile::Open(folder.File("p").c_str());
  ASSERT_TRUE(file.ok());
  Bytes shifted(bytes.size() + 1);
  std::memcpy(shifted.data() + 1, bytes.data(), bytes.size());
  const Result<PlanFile> memory = PlanFile::Open(std::span(shifted).subspan(1));
  ASSERT_TRUE(memory.ok()) << memory.status().message();
  EXPECT_EQ(memory.value().identity(), file.value().identity());
  ASSERT_TRUE(memory.value().Load(memory.value().segment(), 8).ok());
  EXPECT_EQ(std::memcmp(memory.value().segment(), spec.segment.data(), 8), 0);
}

TEST(PlanFileTest, RefusesEveryTruncationInMemoryAndOneByteMore) {
  Bytes bytes = test::BuildPlanFile(test::TinyPlan());
  for (size_t n = 0; n < bytes.size(); ++n) {
    // On the heap and of that size: a byte read behind it is an error that a sanitizer sees.
    const Bytes part(bytes.begin(), bytes.begin() + std::ptrdiff_t(n));
    EXPECT_FALSE(PlanFile::Open(std::span(part)).ok()) << n << " bytes";
  }
  bytes.push_back(0);
  EXPECT_EQ(PlanFile::Open(std::span(bytes)).status().code(), StatusCode::kDataLoss);
  EXPECT_FALSE(PlanFile::Open(std::span<const uint8_t>()).ok());
}

TEST(PlanFileTest, RefusesEveryTruncationAndEveryExtension) {
  const test::TempFolder folder;
  Bytes file = test::BuildPlanFile(test::TinyPlan());
  test::WriteBytes(folder.File("p"), file);
  for (size_t n = file.size(); n-- > 0;) {
    ASSERT_EQ(truncate(folder.File("p").c_str(), off_t(n)), 0);
    EXPECT_NE(OpenCode(folder.File("p")), StatusCode::kOk) << n << " bytes";
  }
  for (int i = 0; i < 64; ++i) {
    file.push_back(0);
    test::WriteBytes(folder.File("p"), file);
    EXPECT_EQ(OpenCode(folder.File("p")), StatusCode::kDataLoss);
  }
}

TEST(PlanFileTest, RefusesEveryChangedByte) {
  const test::TempFolder folder;
  const Bytes file = test::BuildPlanFile(test::TinyPlan());
  test::WriteBytes(folder.File("p"), file);
  const int fd = open(folder.File("p").c_str(), O_WRONLY);
  ASSERT_GE(fd, 0);
  int accepted = 0;
  for (size_t i = 0; i < file.size(); ++i) {
    for (const uint8_t flip : {0x01, 0x80, 0xFF}) {
      const uint8_t changed = file[i] ^ flip;
      ASSERT_EQ(pwrite(fd, &changed, 1, off_t(i)), 1);
      accepted += OpenCode(folder.File("p")) == StatusCode::kOk;
    }
    ASSERT_EQ(pwrite(fd, &file[i], 1, off_t(i)), 1);
  }
  close(fd);
  EXPECT_EQ(accepted, 0);
  EXPECT_EQ(OpenCode(folder.File("p")), StatusCode::kOk);
}

// A metadata size that differs by some padding alone is as good as the right one.
TEST(PlanFileTest, RefusesEveryOtherHeaderBehindRightChecksums) {
  const test::TempFolder folder;
  const Bytes file = test::BuildPlanFile(test::TinyPlan());
  constexpr size_t kSize = offsetof(PlanHeader, metadata_bytes);
  for (size_t i = 0; i < offsetof(PlanHeader, metadata_checksum); ++i) {
    for (int value = 0; value < 256; value += 5) {
      Bytes changed = file;
      changed[i] = static_cast<uint8_t>(value);
      test::FixPlanChecksums(changed);
      test::WriteBytes(folder.File("p"), changed);
      const bool ok = OpenCode(folder.File("p")) == StatusCode::kOk;
      if (i != kSize && i != kSize + 1) {
        EXPECT_EQ(ok, changed == file) << "byte " << i << " = " << value;
      }
    }
  }
}

}  // namespace
}  // namespace pocketune
