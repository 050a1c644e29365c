#include "engine/base/file_io.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "engine/base/checksum.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temp_folder.h"

namespace pocketune {
namespace {

using Bytes = std::vector<uint8_t>;

Status WriteOne(const std::string& path, const Bytes& bytes) {
  const std::span<const uint8_t> chunks[] = {bytes};
  return WriteFileAtomically(path.c_str(), chunks);
}

Bytes Pattern(size_t n) {
  Bytes bytes(n);
  for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<uint8_t>(i * 131 + i / 251);
  return bytes;
}

TEST(FileIoTest, WritesTheChunksOneAfterTheOther) {
  const test::TempFolder folder;
  const Bytes a = Pattern(7), b = Pattern(100003);
  const std::span<const uint8_t> chunks[] = {a, {}, b};
  const std::string path = folder.File("x");
  ASSERT_TRUE(WriteFileAtomically(path.c_str(), chunks).ok());
  Bytes want = a;
  want.insert(want.end(), b.begin(), b.end());
  EXPECT_EQ(test::ReadBytes(path), want);
}

TEST(FileIoTest, CopiesAFileOverAnother) {
  const test::TempFolder folder;
  const std::string from = folder.File("from"), to = folder.File("to");
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{64 << 10}, size_t{200003}}) {
    test::WriteBytes(from, Pattern(bytes));
    test::WriteBytes(to, Pattern(77));
    ASSERT_TRUE(CopyFileAtomically(from.c_str(), to.c_str()).ok()) << bytes;
    EXPECT_EQ(test::ReadBytes(to), Pattern(bytes));
  }
  EXPECT_FALSE(std::filesystem::exists(to + ".tmp"));
}

TEST(FileIoTest, ACopyThatFailsLeavesTheFileAsItWas) {
  const test::TempFolder folder;
  const std::string to = folder.File("to");
  test::WriteBytes(to, Pattern(77));
  EXPECT_EQ(CopyFileAtomically(folder.File("absent").c_str(), to.c_str()).code(),
            StatusCode::kNotFound);
  test::WriteBytes(folder.File("from"), Pattern(9000));
  EXPECT_FALSE(CopyFileAtomically(folder.File("from").c_str(), folder.File("no/to").c_str()).ok());
  EXPECT_EQ(test::ReadBytes(to), Pattern(77));
}

TEST(FileIoTest, MakesFilesThatOnlyTheUserCanRead) {
  const test::TempFolder folder;
  ASSERT_TRUE(WriteOne(folder.File("x"), Pattern(5)).ok());
  struct stat info;
  ASSERT_EQ(stat(folder.File("x").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(FileIoTest, ReplacesTheTemporaryFileOfAKilledWriter) {
  const test::TempFolder folder;
  test::WriteBytes(folder.File("x.tmp"), Pattern(999));
  ASSERT_TRUE(WriteOne(folder.File("x"), Pattern(5)).ok());
  EXPECT_EQ(test::ReadBytes(folder.File("x")), Pattern(5));
  EXPECT_FALSE(std::filesystem::exists(folder.File("x.tmp")));
}

TEST(FileIoTest, WritesThroughNoSymbolicLink) {
  const test::TempFolder folder;
  test::WriteBytes(folder.File("victim"), Pattern(9));
  std::filesystem::create_symlink(folder.File("victim"), folder.File("x.tmp"));
  ASSERT_TRUE(WriteOne(folder.File("x"), Pattern(5)).ok());
  EXPECT_EQ(test::ReadBytes(folder.File("victim")), Pattern(9));
}

TEST(FileIoTest, KeepsTheOldFileAndNoTemporaryOneWhenTheDiskIsFull) {
  const test::TempFolder folder;
  const std::string path = folder.File("x");
  ASSERT_TRUE(WriteOne(path, Pattern(1000)).ok());
  for (const rlim_t limit : {0, 1, 4096, 65536}) {
    const test::FileSizeLimit full(limit);
    const Status status = WriteOne(path, Pattern(70001));
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_EQ(status.detail(), EFBIG);
  }
  EXPECT_EQ(test::ReadBytes(path), Pattern(1000));
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST(FileIoTest, SaysThatTheFolderIsMissing) {
  const test::TempFolder folder;
  const Status status = WriteOne(folder.File("no/x"), Pattern(5));
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(status.detail(), ENOENT);
}

TEST(FileIoTest, TellsMissingFilesFromFolders) {
  const test::TempFolder folder;
  EXPECT_EQ(ReadableFile::Open(folder.File("no").c_str()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ReadableFile::Open(folder.path().c_str()).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(FileIoTest, DoesNotWaitForTheOtherEndOfAPipe) {
  const test::TempFolder folder;
  ASSERT_EQ(mkfifo(folder.File("pipe").c_str(), 0600), 0);
  EXPECT_EQ(ReadableFile::Open(folder.File("pipe").c_str()).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(FileIoTest, ReadsAtAnOffsetUpToTheEndAndNoFurther) {
  const test::TempFolder folder;
  test::WriteBytes(folder.File("x"), Pattern(101));
  const Result<ReadableFile> file = ReadableFile::Open(folder.File("x").c_str());
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value().bytes(), 101);
  Bytes tail(11);
  ASSERT_TRUE(file.value().ReadAt(90, tail).ok());
  const Bytes all = Pattern(101);
  EXPECT_EQ(tail, Bytes(all.begin() + 90, all.end()));
  EXPECT_EQ(file.value().ReadAt(91, tail).code(), StatusCode::kDataLoss);
}

TEST(FileIoTest, ReadsBytesInMemoryAsAFile) {
  const std::vector<uint8_t> bytes = {1, 2, 3, 4, 5, 6, 7};
  ReadableFile memory{std::span(bytes)};
  const ReadableFile file = std::move(memory);
  EXPECT_EQ(file.bytes(), 7);
  std::vector<uint8_t> part(4);
  ASSERT_TRUE(file.ReadAt(3, part).ok());
  EXPECT_EQ(part, (std::vector<uint8_t>{4, 5, 6, 7}));
  EXPECT_EQ(file.ReadAt(4, part).code(), StatusCode::kDataLoss);
  EXPECT_EQ(file.ReadAt(8, std::span(part).first(1)).code(), StatusCode::kDataLoss);
  EXPECT_TRUE(file.ReadAt(7, {}).ok());
  const Result<uint64_t> checksum = file.ChecksumAt(1, 5);
  ASSERT_TRUE(checksum.ok());
  EXPECT_EQ(checksum.value(), Checksum(bytes.data() + 1, 5));
  EXPECT_FALSE(file.ChecksumAt(1, 7).ok());
}

TEST(FileIoTest, ChecksumsAFileAsItsBytes) {
  const test::TempFolder folder;
  const Bytes bytes = Pattern(200003);
  test::WriteBytes(folder.File("x"), bytes);
  const Result<ReadableFile> file = ReadableFile::Open(folder.File("x").c_str());
  ASSERT_TRUE(file.ok());
  const Result<uint64_t> checksum = file.value().ChecksumAt(17, 199001);
  ASSERT_TRUE(checksum.ok());
  EXPECT_EQ(checksum.value(), Checksum(bytes.data() + 17, 199001));
  EXPECT_EQ(file.value().ChecksumAt(17, 200000).status().code(), StatusCode::kDataLoss);
}

TEST(FileIoTest, ReadsAWholeFileUpToALimit) {
  const test::TempFolder folder;
  test::WriteBytes(folder.File("x"), Pattern(101));
  const Result<Bytes> bytes = ReadFile(folder.File("x").c_str(), 101);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(bytes.value(), Pattern(101));
  EXPECT_EQ(ReadFile(folder.File("x").c_str(), 100).status().code(),
            StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace pocketune
