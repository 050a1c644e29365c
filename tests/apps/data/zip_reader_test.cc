#include "apps/data/zip_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/apps/data/data_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMax = 1 << 20;
// Where fields lie, of an entry of the directory and from the end of an archive without a comment.
constexpr size_t kFlags = 8, kMethod = 10, kSum = 16, kPackedBytes = 20, kBytes = 24, kLocal = 42;
constexpr size_t kEndRecord = 22;

class ZipReaderTest : public ::testing::Test {
 protected:
  absl::StatusOr<ZipReader> Open(const Bytes& bytes) {
    WriteFile(dir_ / "a.zip", bytes);
    return ZipReader::Open(dir_ / "a.zip");
  }
  // Why the archive, or else its first member, cannot be read; "" where it can.
  std::string ErrorOf(const Bytes& bytes, int64_t max_bytes = kMax) {
    const absl::StatusOr<ZipReader> zip = Open(bytes);
    if (!zip.ok()) return Refusal(zip.status());
    const auto read = zip->Read(zip->members().at(0), max_bytes);
    return read.ok() ? "" : Refusal(read.status());
  }
  // With `value` written over so many bytes of the directory's first entry.
  static Bytes WithEntry(Bytes zip, size_t field, uint64_t value, size_t bytes) {
    constexpr uint8_t kMagic[] = {'P', 'K', 1, 2};
    const auto entry = std::search(zip.begin(), zip.end(), std::begin(kMagic), std::end(kMagic));
    Write(value, bytes, &*(entry + long(field)));
    return zip;
  }
  static Bytes WithEndRecord(Bytes zip, size_t field, uint64_t value, size_t bytes) {
    Write(value, bytes, &zip[zip.size() - kEndRecord + field]);
    return zip;
  }

  const Bytes data_ = Noise(700, 3);
  const Bytes stored_ = MakeZip({{"x", data_}});
  const Bytes deflated_ = MakeZip({{"x", data_, true}});
  TempDir dir_;

 private:
  static std::string Refusal(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    return std::string(status.message());
  }
  static void Write(uint64_t value, size_t bytes, uint8_t* to) {
    for (size_t i = 0; i < bytes; ++i) to[i] = uint8_t(value >> (8 * i));
  }
};

TEST_F(ZipReaderTest, ReadsStoredAndDeflatedMembersInTheirOrder) {
  const Bytes other = Noise(3, 5);
  const absl::StatusOr<ZipReader> zip =
      Open(MakeZip({{"b/x", data_, true}, {"a", other}, {"none", {}}}));
  ASSERT_TRUE(zip.ok()) << zip.status();
  ASSERT_EQ(zip->members().size(), 3u);
  EXPECT_EQ(zip->members()[0].name, "b/x");
  EXPECT_EQ(zip->members()[0].bytes, 700);
  EXPECT_EQ(*zip->Read(zip->members()[0], 700), data_);
  EXPECT_EQ(*zip->Read(zip->members()[1], kMax), other);
  EXPECT_EQ(*zip->Read(zip->members()[2], kMax), Bytes());
}

TEST_F(ZipReaderTest, FindsTheDirectoryInFrontOfAComment) {
  const std::string comment = "PK\5\6, and a little more";
  Bytes zip = WithEndRecord(stored_, 20, comment.size(), 2);
  zip.insert(zip.end(), comment.begin(), comment.end());
  EXPECT_EQ(ErrorOf(zip), "");
}

TEST_F(ZipReaderTest, RefusesAnArchiveThatEndsTooEarly) {
  for (const Bytes& whole : {stored_, deflated_}) {
    for (size_t n = 0; n < whole.size(); ++n) {
      EXPECT_THAT(ErrorOf({whole.begin(), whole.begin() + long(n)}),
                  HasSubstr("damaged zip archive"))
          << n << " of " << whole.size() << " bytes";
    }
  }
}

TEST_F(ZipReaderTest, RefusesWhatItDoesNotKnowByName) {
  const std::string unsupported = "x: unsupported zip member";
  EXPECT_THAT(ErrorOf(WithEntry(stored_, kFlags, 1, 2)), HasSubstr("not encrypted"));
  EXPECT_THAT(ErrorOf(WithEntry(stored_, kMethod, 12, 2)),
              HasSubstr(unsupported + " (got method 12"));
  EXPECT_THAT(ErrorOf(WithEntry(stored_, kBytes, 0xffffffff, 4)), HasSubstr(unsupported));
  EXPECT_THAT(ErrorOf(WithEntry(stored_, kPackedBytes, 0xffffffff, 4)), HasSubstr(unsupported));
  const std::string zip64 = "zip64 and split archives are not supported";
  EXPECT_THAT(ErrorOf(WithEndRecord(stored_, 4, 1, 2)), HasSubstr(zip64));  // the second disk
  EXPECT_THAT(ErrorOf(WithEndRecord(stored_, 8, 0xffff, 2)), HasSubstr(zip64));
  EXPECT_THAT(ErrorOf(WithEndRecord(stored_, 12, 0xffffffff, 4)), HasSubstr(zip64));
  EXPECT_THAT(ErrorOf(WithEndRecord(stored_, 16, 0xffffffff, 4)), HasSubstr(zip64));
  EXPECT_THAT(ErrorOf(MakeZip({{"x", data_}, {"x", data_}})), HasSubstr("x: twice in the archive"));
}

TEST_F(ZipReaderTest, RefusesADirectoryThatIsNone) {
  EXPECT_THAT(ErrorOf(WithEndRecord(stored_, 16, stored_.size(), 4)),
              HasSubstr("directory outside of the file"));
  EXPECT_THAT(ErrorOf(WithEndRecord(stored_, 12, 10, 4)), HasSubstr("bad directory"));
  EXPECT_THAT(ErrorOf(WithEndRecord(stored_, 16, 0, 4)), HasSubstr("bad directory"));
  EXPECT_THAT(ErrorOf(WithEntry(stored_, 28, 5000, 2)), HasSubstr("bad directory"));  // the name
}

TEST_F(ZipReaderTest, RefusesAMemberThatIsNotWhatTheDirectorySays) {
  for (const Bytes& zip : {stored_, deflated_}) {
    EXPECT_THAT(ErrorOf(WithEntry(zip, kSum, 7, 4)), HasSubstr("x: damaged zip member"));
    EXPECT_THAT(ErrorOf(WithEntry(zip, kLocal, 3, 4)), HasSubstr("no local header"));
    EXPECT_THAT(ErrorOf(WithEntry(zip, kPackedBytes, 1 << 20, 4)),
                HasSubstr("ends outside of the file"));
  }
  EXPECT_THAT(ErrorOf(WithEntry(stored_, kSum, 7, 4)), HasSubstr("wrong checksum"));
  EXPECT_THAT(ErrorOf(WithEntry(stored_, kBytes, 701, 4)), HasSubstr("impossible size"));
  for (uint64_t bytes : {699, 701}) {
    EXPECT_THAT(ErrorOf(WithEntry(deflated_, kBytes, bytes, 4)), HasSubstr("bad deflate data"));
  }
}

// A bomb says much memory in few bytes; it is refused before any is taken.
TEST_F(ZipReaderTest, RefusesMoreBytesThanAreWantedOrThanDeflateCanHold) {
  EXPECT_THAT(ErrorOf(deflated_, 699), HasSubstr("x: too large (got 700 bytes, want at most 699)"));
  constexpr int64_t kAny = int64_t{1} << 40;
  EXPECT_THAT(ErrorOf(WithEntry(deflated_, kBytes, 0xfffffffe, 4), kAny),
              HasSubstr("impossible size"));
  const Bytes zeros(300000);
  EXPECT_EQ(ErrorOf(MakeZip({{"x", zeros, true}})), "");
}

}  // namespace
}  // namespace pocketune::data
