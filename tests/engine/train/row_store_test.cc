#include "engine/train/row_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/file_size_limit.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kRows = 5;
constexpr int64_t kRowBytes = 1000;

RowStoreSpec Spec() {
  return {.identity = 7,
          .row_bytes = kRowBytes,
          .rows = kRows,
          .keys = {10, 11, 12, 13, 14},
          .what = "pictures"};
}

std::vector<uint8_t> Row(int64_t row) {
  std::vector<uint8_t> bytes(kRowBytes);
  for (int64_t i = 0; i < kRowBytes; ++i) bytes[i] = uint8_t(row * 91 + i);
  return bytes;
}

class RowFileTest : public ::testing::Test {
 protected:
  std::unique_ptr<RowStore> Open(const RowStoreSpec& spec = Spec()) {
    Result<std::unique_ptr<RowStore>> store = RowStore::InFile(path_, spec, &notice_);
    EXPECT_TRUE(store.ok()) << store.status().message();
    return store.ok() ? std::move(store).value() : nullptr;
  }

  void Fill() {
    const std::unique_ptr<RowStore> store = Open();
    ASSERT_NE(store, nullptr);
    for (int64_t i = 0; i < kRows; ++i) ASSERT_TRUE(store->Put(i, Row(i).data()).ok());
  }

  static std::vector<int64_t> RowsOf(const RowStore& store) {
    std::vector<int64_t> rows;
    std::vector<uint8_t> buffer(kRowBytes);
    for (int64_t i = 0; i < kRows; ++i) {
      if (!store.Has(i)) continue;
      rows.push_back(i);
      const Result<const uint8_t*> row = store.Get(i, buffer.data());
      EXPECT_TRUE(row.ok()) << row.status().message();
      EXPECT_TRUE(row.ok() && std::equal(row.value(), row.value() + kRowBytes, Row(i).data())) << i;
    }
    return rows;
  }

  void Change(int64_t offset) {
    std::vector<uint8_t> bytes = ReadBytes(path_);
    bytes[offset] ^= 4;
    WriteBytes(path_, bytes);
  }

  TempFolder folder_;
  const std::string path_ = folder_.File("rows");
  std::string notice_;
};

TEST(RowMemoryTest, GivesBackWhatWasPut) {
  Result<std::unique_ptr<RowStore>> store = RowStore::InMemory(Spec());
  ASSERT_TRUE(store.ok());
  EXPECT_FALSE(store.value()->Has(3));
  ASSERT_TRUE(store.value()->Put(3, Row(3).data()).ok());
  EXPECT_TRUE(store.value()->Has(3));
  const std::vector<uint8_t> want = Row(3);
  EXPECT_TRUE(std::equal(want.begin(), want.end(), store.value()->Get(3, nullptr).value()));
  store.value()->Clear();
  EXPECT_FALSE(store.value()->Has(3));
}

TEST_F(RowFileTest, FindsItsRowsAgain) {
  {
    const std::unique_ptr<RowStore> store = Open();
    EXPECT_EQ(RowsOf(*store), std::vector<int64_t>());
    ASSERT_TRUE(store->Put(1, Row(1).data()).ok());
    ASSERT_TRUE(store->Put(4, Row(4).data()).ok());
    EXPECT_EQ(int64_t(std::filesystem::file_size(path_)), RowFileBytes(kRows, kRowBytes));
  }
  EXPECT_EQ(RowsOf(*Open()), (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(notice_, "");
}

TEST_F(RowFileTest, BeginsAnewWhereItIsStale) {
  Fill();
  RowStoreSpec other = Spec();
  other.identity = 8;
  EXPECT_EQ(RowsOf(*Open(other)), std::vector<int64_t>());
  EXPECT_THAT(notice_, HasSubstr("begun anew"));
}

TEST_F(RowFileTest, LacksTheRowsOfChangedPictures) {
  Fill();
  RowStoreSpec other = Spec();
  other.keys[2] = 99;
  EXPECT_EQ(RowsOf(*Open(other)), (std::vector<int64_t>{0, 1, 3, 4}));
  EXPECT_THAT(notice_, HasSubstr("1 pictures have changed"));
}

TEST_F(RowFileTest, LacksDamagedRows) {
  Fill();
  Change(RowFileBytes(kRows, kRowBytes) - 1);
  EXPECT_EQ(RowsOf(*Open()), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_THAT(notice_, HasSubstr("1 rows are damaged"));
}

TEST_F(RowFileTest, BeginsAnewWhereItEndsEarly) {
  Fill();
  std::filesystem::resize_file(path_, RowFileBytes(kRows, kRowBytes) - 1);
  EXPECT_EQ(RowsOf(*Open()), std::vector<int64_t>());
  EXPECT_THAT(notice_, HasSubstr("wrong length"));
}

TEST_F(RowFileTest, NeverGivesARowThatWasDamagedLater) {
  Fill();
  const std::unique_ptr<RowStore> store = Open();
  // In place: another file of this name would not be read.
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(RowFileBytes(kRows, kRowBytes) - 1);
  file.put('x');
  file.close();
  std::vector<uint8_t> buffer(kRowBytes);
  EXPECT_EQ(store->Get(4, buffer.data()).status().code(), StatusCode::kDataLoss);
  std::filesystem::resize_file(path_, 100);
  EXPECT_EQ(store->Get(3, buffer.data()).status().code(), StatusCode::kDataLoss);
}

TEST_F(RowFileTest, LeavesOtherFilesAlone) {
  for (const std::string text : {"x", "a letter that is longer than the header of a row file is"}) {
    const std::vector<uint8_t> bytes(text.begin(), text.end());
    WriteBytes(path_, bytes);
    EXPECT_EQ(RowStore::InFile(path_, Spec(), &notice_).status().code(),
              StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReadBytes(path_), bytes);
  }
  EXPECT_FALSE(RowStore::InFile(folder_.path(), Spec(), &notice_).ok());
  EXPECT_FALSE(RowStore::InFile(folder_.File("none/rows"), Spec(), &notice_).ok());
}

TEST_F(RowFileTest, IsHeldByOneRun) {
  const std::unique_ptr<RowStore> store = Open();
  EXPECT_EQ(RowStore::InFile(path_, Spec(), &notice_).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(RowFileTest, TakesItsSpaceAtOnceAndLeavesNothingWhereThereIsNone) {
  const FileSizeLimit limit(RowFileBytes(kRows, kRowBytes) - 1);
  EXPECT_EQ(RowStore::InFile(path_, Spec(), &notice_).status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace pocketune::test
