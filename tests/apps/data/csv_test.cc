#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "apps/data/dataset.h"
#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class CsvTest : public ::testing::Test {
 protected:
  CsvTest() {
    for (const char* name : {"a.png", "b.png", "sub/c, d.png"}) {
      WriteFile(dir_ / name, EncodePng(MakeImage(3, 2, 1, 0)));
    }
  }
  // The error for such a list, without the path.
  std::string ErrorFor(const std::string& text) {
    WriteFile(dir_ / "list.csv", text);
    const std::string error = ErrorOf(dir_.path()), prefix = dir_ / "list.csv: ";
    return error.rfind(prefix, 0) == 0 ? error.substr(prefix.size()) : error;
  }

  TempDir dir_;
};

TEST_F(CsvTest, ReadsByteOrderMarkLineEndsQuotesAndExtraColumns) {
  WriteFile(dir_ / "list.csv",
            "\xef\xbb\xbf"
            "label,file,by,split\r\nx,a.png,me,train\r\n\"say \"\"y\"\"\",b.png,,val\r\n"
            "x,\"sub/c, d.png\",me,test\r\n\r\n");
  WriteFile(dir_ / "other.csv", "a,b\n1,2\n");
  for (const std::string& path : {dir_.path(), dir_ / "list.csv"}) {
    const auto dataset = Open(path);
    ASSERT_NE(dataset, nullptr);
    EXPECT_EQ(dataset->format(), DatasetFormat::kCsv);
    EXPECT_THAT(dataset->class_names(), ElementsAre("say \"y\"", "x"));
    EXPECT_THAT(NamesIn(*dataset, Split::kTrain), ElementsAre("a.png"));
    EXPECT_THAT(NamesIn(*dataset, Split::kVal), ElementsAre("b.png"));
    EXPECT_THAT(NamesIn(*dataset, Split::kTest), ElementsAre("sub/c, d.png"));
    Image image;
    EXPECT_TRUE(dataset->DecodeImage(2, {}, &image).ok());
  }
}

TEST_F(CsvTest, OrdersNumbersByValueAndSplitsWhereNoneAreGiven) {
  WriteFile(dir_ / "list.csv", "file,label\na.png,10\nb.png,2\n");
  DatasetOptions options;
  options.val_fraction = 0;
  const auto dataset = Open(dir_.path(), options);
  EXPECT_THAT(dataset->class_names(), ElementsAre("2", "10"));
  EXPECT_THAT(dataset->Indices(Split::kTrain), SizeIs(2));
}

TEST_F(CsvTest, NamesTheBadRow) {
  EXPECT_EQ(ErrorFor("file,label,split\na.png,x,train\nb.png,x\n"),
            "row 3: ragged row (got 2 fields, want 3)");
  EXPECT_EQ(ErrorFor("file,label,split\na.png,x,holdout\n"),
            "row 2: unknown split (got \"holdout\", want train, val or test)");
  EXPECT_EQ(ErrorFor("file,label\nnone.png,x\n"), "row 2: no such file (got \"none.png\")");
  EXPECT_EQ(ErrorFor("file,label\n\n\na.png,\n"), "row 4: no label");
  EXPECT_EQ(ErrorFor("file,label\n,x\n"), "row 2: no file name");
  EXPECT_EQ(ErrorFor("file,label\n\"a.png,x\n"),
            "row 2: misplaced quote (want a field quoted as a whole)");
  EXPECT_EQ(ErrorFor("file,label\n\"a\".png,x\n"),
            "row 2: misplaced quote (want a field quoted as a whole)");
  EXPECT_EQ(ErrorFor("file,label\na.png,x\na.png,y\n"),
            "row 3: file listed twice with different labels or splits (got \"a.png\")");
  EXPECT_THAT(ErrorFor("file,label\n"), HasSubstr("no samples"));
}

TEST_F(CsvTest, RefusesPathsThatLeaveTheFolder) {
  const TempDir outside;
  WriteFile(outside / "x.png", EncodePng(MakeImage(3, 2, 1, 0)));
  ASSERT_EQ(symlink((outside / "x.png").c_str(), (dir_ / "link.png").c_str()), 0);
  EXPECT_THAT(ErrorFor("file,label\n" + outside / "x.png" + ",x\n"), HasSubstr("absolute path"));
  const std::string up = "../" + outside.path().substr(outside.path().rfind('/') + 1) + "/x.png";
  EXPECT_THAT(ErrorFor("file,label\n" + up + ",x\n"), HasSubstr("outside of the folder"));
  EXPECT_THAT(ErrorFor("file,label\nlink.png,x\n"), HasSubstr("outside of the folder"));
  EXPECT_EQ(ErrorFor("file,label\nsub/../a.png,x\n"), "");
}

TEST_F(CsvTest, WantsOneListInAFolder) {
  WriteFile(dir_ / "one.csv", "file,label\na.png,x\n");
  WriteFile(dir_ / "two.csv", "file,label\nb.png,x\n");
  EXPECT_THAT(ErrorOf(dir_.path()), HasSubstr("several lists of pictures"));
  EXPECT_EQ(ErrorOf(dir_ / "two.csv"), "");
}

TEST_F(CsvTest, SurvivesNoise) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Bytes text = Noise(300, seed);
    for (uint8_t& c : text) c = uint8_t("abx,,\"\n\r./"[c % 10]);
    const std::string header = "file,label\n";
    text.insert(text.begin(), header.begin(), header.end());
    EXPECT_NE(ErrorFor(std::string(text.begin(), text.end())), "");
  }
}

}  // namespace
}  // namespace pocketune::data
