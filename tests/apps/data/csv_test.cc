#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "apps/data/dataset.h"
#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::Contains;
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

class CsvHeaderTest : public CsvTest,
                      public ::testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(CsvHeaderTest, IsTakenInItsUsualForms) {
  WriteFile(dir_ / "list.csv", std::string(GetParam().second));
  const auto dataset = Open(dir_.path());
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->format(), DatasetFormat::kCsv);
  EXPECT_THAT(dataset->class_names(), ElementsAre("x", "y"));
  EXPECT_THAT(NamesIn(*dataset, Split::kTrain), ElementsAre("a.png"));
  EXPECT_THAT(NamesIn(*dataset, Split::kTest), ElementsAre("b.png"));
}

INSTANTIATE_TEST_SUITE_P(
    Forms, CsvHeaderTest,
    ::testing::Values(std::pair("Capitals", "File,Label,Split\na.png,y,Train\nb.png,x,TEST\n"),
                      std::pair("Spaces", " file , label,split \na.png,y,train\nb.png,x,testing\n"),
                      std::pair("Quotes",
                                "\"File\", \"Label\" ,\"Split\"\n\"a.png\",\"y\",\"training\"\n"
                                "\"b.png\", \"x\" ,\"test\"\n"),
                      std::pair("Mark",
                                "\xef\xbb\xbf"
                                "FILE,LABEL,SPLIT\na.png,y,train\nb.png,x,test\n"),
                      std::pair("Semicolons", "Image;Class;Set\na.png;y;train\nb.png;x;test\n"),
                      std::pair("Tabs",
                                "image_path\ttarget\tsubset\na.png\ty\ttrain\nb.png\tx\ttest\n"),
                      std::pair("Separator",
                                "sep=;\r\nfilename;category;split\r\na.png;y;train\r\n"
                                "b.png;x;test\r\n;;\r\n"),
                      std::pair("MoreColumns",
                                "id,File Name,width,label,split\n1,a.png,3,y,train\n"
                                "2,b.png,3,x,test\n"),
                      std::pair("UsualWordFirst",
                                "class,path,label,file,split\n1,q,y,a.png,train\n"
                                "2,q,x,b.png,test\n")),
    [](const auto& info) { return std::string(info.param.first); });

Bytes ToUtf16(const std::string& ascii, bool big, bool mark) {
  Bytes bytes;
  const auto put = [&](unsigned unit) {
    bytes.push_back(uint8_t(big ? unit >> 8 : unit));
    bytes.push_back(uint8_t(big ? unit : unit >> 8));
  };
  if (mark) put(0xfeff);
  for (const char c : ascii) put(uint8_t(c));
  return bytes;
}

TEST_F(CsvTest, ReadsUtf16) {
  const std::string text = "File\tLabel\r\na.png\tx\r\nb.png\tcaf\xe9\r\n";
  for (const bool big : {false, true}) {
    for (const bool mark : {false, true}) {
      WriteFile(dir_ / "list.csv", ToUtf16(text, big, mark));
      const auto dataset = Open(dir_.path());
      ASSERT_NE(dataset, nullptr);
      EXPECT_EQ(dataset->format(), DatasetFormat::kCsv);
      EXPECT_THAT(dataset->class_names(), ElementsAre("caf\u00e9", "x"));
    }
  }
  Bytes half = ToUtf16("file,label\na.png,x\n", false, true);
  half.pop_back();
  WriteFile(dir_ / "half.txt", half);
  EXPECT_THAT(ErrorOf(dir_ / "half.txt"), HasSubstr("not a text file"));
}

TEST_F(CsvTest, TakesOffSpaceAroundFieldsAndSaysSo) {
  WriteFile(dir_ / "list.csv",
            "file,label\na.png,blue\nb.png ,blue \n\"sub/c, d.png\",\" blue\xc2\xa0\"\n");
  const auto dataset = Open(dir_.path());
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->class_names(), ElementsAre("blue"));
  EXPECT_EQ(dataset->samples()[1].name, "b.png");
  EXPECT_THAT(dataset->notes(), Contains("took off the space around 2 labels and 1 file names"));
  // A file whose name has the space is that file.
  std::filesystem::rename(dir_ / "b.png", dir_ / "b.png ");
  EXPECT_EQ(Open(dir_.path())->samples()[1].name, "b.png ");
}

TEST_F(CsvTest, TakesTheSeparatorsOfWindows) {
  WriteFile(dir_ / "list.csv", "file,label\na.png,x\n\".\\sub\\c, d.png\",y\n");
  const auto dataset = Open(dir_.path());
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->samples()[1].name, "./sub/c, d.png");
  EXPECT_THAT(dataset->notes(), Contains(HasSubstr("the backslashes in 1 file names")));
}

TEST_F(CsvTest, LooksAtAnotherColumnForSplitsOnlyIfItNamesSome) {
  WriteFile(dir_ / "list.csv", "file,label,set\na.png,x,A\nb.png,y,B\n");
  EXPECT_THAT(Open(dir_.path())->notes(),
              Contains("the column \"set\" of the list names no splits: not looked at"));
  EXPECT_EQ(ErrorFor("file,label,set\na.png,x,train\nb.png,y,B\n"),
            "row 3: unknown split (got \"B\", want train, val or test)");
}

TEST_F(CsvTest, RefusesTwoColumnsForOneThing) {
  EXPECT_EQ(ErrorFor("file,class,target\na.png,x,y\n"),
            "two columns for the label (got \"class\" and \"target\"; name one of them label)");
  EXPECT_EQ(ErrorFor("image,Path,label\na.png,a.png,y\n"),
            "two columns for the pictures (got \"image\" and \"Path\"; name one of them file)");
}

TEST_F(CsvTest, ThatLooksLikeAListAndIsNoneStopsTheRun) {
  EXPECT_EQ(ErrorFor("a.png,x\nb.png,y\n"),
            "looks like a list of pictures and is none: no header (its first line names a picture; "
            "want one such as file,label before it); mend it, or move it elsewhere");
  EXPECT_EQ(ErrorFor("file,colour\na.png,x\n"),
            "looks like a list of pictures and is none: no column for the label (got columns file, "
            "colour; want one named label, class or target); mend it, or move it elsewhere");
  EXPECT_THAT(
      ErrorFor("Bild;Klasse\na.png;x\n"),
      HasSubstr("no columns for the pictures and the label (got columns Bild, Klasse; want"));
  // As well beside folders of classes.
  WriteImageFolder(dir_.path(), 2);
  EXPECT_THAT(ErrorFor("name|label\na.png|x\n"), HasSubstr("looks like a list of pictures"));
  std::filesystem::remove(dir_ / "list.csv");
  WriteFile(dir_ / "val.txt", "a.png 0\nb.png 1\n");
  EXPECT_THAT(ErrorOf(dir_.path()), HasSubstr("val.txt: looks like a list of pictures"));
}

TEST(TableInAFolderTest, ThatNamesNoPicturesIsLeftOutAndSaid) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 2);
  WriteFile(dir / "prices.csv", "animal,price\nant,1\n");
  WriteFile(dir / "README.txt", "Look at ant/000.jpg\nfirst.\nThen at\nthe others.\n");
  EXPECT_THAT(
      Open(dir.path())->notes(),
      Contains(HasSubstr("prices.csv: no columns for the pictures and the label (got columns "
                         "animal, price")));
  std::filesystem::remove_all(dir / "ant");
  std::filesystem::remove_all(dir / "bee");
  EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("prices.csv: beside fewer than two class folders"));
  std::filesystem::rename(dir / "prices.csv", dir / "labels.xlsx");
  EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("save it as CSV"));
}

TEST(TableInAFolderTest, IsReadWhateverItsEnding) {
  for (const char* name : {"l.TSV", "l.txt", "l.csv"}) {
    const TempDir dir;
    WriteFile(dir / "img/a.png", EncodePng(MakeImage(3, 2, 1, 0)));
    WriteFile(dir / name, "file\tlabel\nimg/a.png\tx\n");
    const auto dataset = Open(dir.path());
    ASSERT_NE(dataset, nullptr);
    EXPECT_EQ(dataset->format(), DatasetFormat::kCsv) << name;
  }
}

TEST_F(CsvTest, KeepsLabelsThatAreNotUtf8) {
  WriteFile(dir_ / "list.csv", "file,label\na.png,caf\xe9\nb.png,x\n");
  EXPECT_THAT(Open(dir_.path())->class_names(), ElementsAre("caf\\xE9", "x"));
  EXPECT_EQ(ErrorFor("file,label\ncaf\xe9.png,x\n"),
            "row 2: no such file (got \"caf\xe9.png\"); the list is not in UTF-8: save it so");
}
}  // namespace
}  // namespace pocketune::data
