#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "apps/data/dataset.h"
#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(ImageFolderTest, TakesOneClassPerSubfolderInByteOrder) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 3);
  WriteFile(dir / "bee/.hidden.jpg", "x");
  WriteFile(dir / ".git/config", "x");
  WriteFile(dir / "bee/deeper/z.PNG", EncodePng(MakeImage(5, 3, 1, 0)));
  WriteFile(dir / "README.txt", "x");
  DatasetOptions options;
  options.val_fraction = options.test_fraction = 0;
  const auto dataset = Open(dir.path(), options);
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->format(), DatasetFormat::kImageFolder);
  EXPECT_THAT(dataset->class_names(), ElementsAre("ant", "bee", "cat"));
  EXPECT_THAT(dataset->CountPerClass(Split::kTrain), ElementsAre(3, 4, 3));
  EXPECT_THAT(dataset->notes(), ElementsAre(HasSubstr("left out 1 entries that are not pictures, "
                                                      "first \"README.txt\"")));
  Image image;
  for (size_t i = 0; i < dataset->samples().size(); ++i) {
    EXPECT_TRUE(dataset->DecodeImage(int64_t(i), {}, &image).ok());
  }
}

TEST(ImageFolderTest, KeepsGivenSplits) {
  const TempDir dir;
  WriteImageFolder(dir / "train", 3);
  WriteImageFolder(dir / "validation", 2);
  WriteImageFolder(dir / "test", 1);
  const auto dataset = Open(dir.path());
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->CountPerClass(Split::kTrain), ElementsAre(3, 3, 3));
  EXPECT_THAT(dataset->CountPerClass(Split::kVal), ElementsAre(2, 2, 2));
  EXPECT_THAT(NamesIn(*dataset, Split::kTest),
              ElementsAre("test/ant/000.jpg", "test/bee/000.jpg", "test/cat/000.jpg"));
}

TEST(ImageFolderTest, LetsAClassBeCalledTrain) {
  const TempDir dir;
  WriteFile(dir / "train/a.png", EncodePng(MakeImage(3, 3, 1, 0)));
  WriteFile(dir / "ship/a.png", EncodePng(MakeImage(3, 3, 1, 1)));
  EXPECT_THAT(Open(dir.path())->class_names(), ElementsAre("ship", "train"));
}

TEST(ImageFolderTest, NamesWhatIsWrong) {
  const TempDir dir;
  EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("no class folders"));
  WriteImageFolder(dir.path(), 1);
  mkdir((dir / "dog").c_str(), 0755);
  EXPECT_EQ(ErrorOf(dir.path()),
            dir / "dog" + ": empty class folder (got 0 pictures, want at least one .jpg or .png)");
  const TempDir mixed;
  WriteImageFolder(mixed / "train", 1);
  WriteFile(mixed / "owl/a.png", EncodePng(MakeImage(3, 3, 1, 0)));
  EXPECT_THAT(ErrorOf(mixed.path()), HasSubstr("owl: a class folder beside the split folder"));
}

TEST(ImageFolderTest, DoesNotFollowLinksInCircles) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 2);
  ASSERT_EQ(symlink("..", (dir / "ant/up").c_str()), 0);
  ASSERT_EQ(symlink("self", (dir / "ant/self").c_str()), 0);
  ASSERT_EQ(symlink("000.jpg", (dir / "ant/alias.jpg").c_str()), 0);
  DatasetOptions options;
  options.val_fraction = options.test_fraction = 0;
  const auto dataset = Open(dir.path(), options);
  ASSERT_NE(dataset, nullptr);
  // Through `up` the root is seen once: its class folders are known already.
  EXPECT_THAT(dataset->CountPerClass(Split::kTrain), ElementsAre(3, 2, 2));
}

void WriteClasses(const std::string& root, std::initializer_list<const char*> classes) {
  for (const char* name : classes) {
    WriteFile(root + "/" + name + "/a.png", EncodePng(MakeImage(3, 3, 1, 0)));
  }
}

std::vector<std::string> SplitNames(const Dataset& dataset) {
  std::vector<std::string> names;
  for (const Sample& sample : dataset.samples()) {
    names.push_back(sample.name.substr(0, sample.name.find('/')) + "=" + NameOf(sample.split));
  }
  return names;
}

TEST(SplitFolderTest, IsKnownByTheUsualWordsInAnyCase) {
  for (const auto& [train, val, test] :
       std::vector<std::array<std::string, 3>>{{"Train", "Val", "Test"},
                                               {"TRAINING", "Validation", "Testing"},
                                               {"training", "dev", "TEST"},
                                               {"train", "VALID", "test"}}) {
    const TempDir dir;
    for (const std::string& split : {train, val, test}) WriteClasses(dir / split, {"a", "b"});
    const auto dataset = Open(dir.path());
    ASSERT_NE(dataset, nullptr);
    EXPECT_THAT(dataset->class_names(), ElementsAre("a", "b"));
    EXPECT_THAT(SplitNames(*dataset),
                ::testing::UnorderedElementsAre(train + "=train", train + "=train", val + "=val",
                                                val + "=val", test + "=test", test + "=test"));
  }
}

TEST(SplitFolderTest, IsFoundOneFolderDeeperBesideWhatArchivesLeave) {
  const TempDir dir;
  WriteClasses(dir / "photos/Train", {"a", "b"});
  WriteClasses(dir / "photos/Test", {"a", "b"});
  WriteFile(dir / "__MACOSX/photos/._a.png", "x");
  const auto dataset = Open(dir.path());
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->class_names(), ElementsAre("a", "b"));
  EXPECT_THAT(dataset->CountPerClass(Split::kTest), ElementsAre(1, 1));
  EXPECT_EQ(dataset->samples()[0].name, "photos/Test/a/a.png");
}

TEST(SplitFolderTest, MayLackClassesWhichIsSaid) {
  const TempDir dir;
  WriteClasses(dir / "train", {"a", "b", "c"});
  WriteClasses(dir / "test", {"b", "d"});
  const auto dataset = Open(dir.path());
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->class_names(), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(dataset->notes(), Contains("test lacks 2 of 4 classes: a, c"));
  EXPECT_THAT(dataset->notes(), Contains("1 class(es) without a training sample, first \"d\""));
}

TEST(SplitFolderTest, OfWhichThereAreTwoIsRefused) {
  for (const auto& [first, second] :
       {std::pair("Train", "train"), std::pair("dev", "val"), std::pair("Test", "testing")}) {
    const TempDir dir;
    WriteClasses(dir / first, {"a", "b"});
    WriteClasses(dir / second, {"a", "b"});
    EXPECT_EQ(ErrorOf(dir.path()), dir.path() + ": two folders for one split (got " + first +
                                       " and " + second + ", want one)");
  }
}

TEST(SplitFolderTest, WithoutClassFoldersIsRefused) {
  const TempDir dir;
  WriteClasses(dir.path(), {"train", "test"});
  EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("test: a split folder without class folders in it"));
  WriteClasses(dir / "train", {"a", "b"});
  EXPECT_THAT(ErrorOf(dir.path()),
              HasSubstr("test: a split folder without class folders in it beside the split folder "
                        "\"train\""));
  std::filesystem::remove_all(dir / "test");
  WriteClasses(dir / "test/test", {"a", "b"});
  EXPECT_THAT(ErrorOf(dir.path()),
              HasSubstr("test: one folder around those of the classes (got only "
                        "test, want a, b, which are in "));
}

TEST(SplitFolderTest, BelowAClassIsNoneWhichIsSaid) {
  const TempDir dir;
  for (const char* name : {"a", "b"}) WriteClasses(dir / name, {"train", "test"});
  EXPECT_THAT(Open(dir.path())->notes(),
              Contains(HasSubstr("folders below the classes are no splits (4 named as such, first "
                                 "\"a/test\")")));
  const TempDir unusual;
  for (const char* name : {"part 1", "part 2"}) WriteClasses(unusual / name, {"x", "y"});
  EXPECT_THAT(Open(unusual.path())->notes(),
              Contains(HasSubstr("the folders of all classes hold the same folders (x, y)")));
}

TEST(ImageFolderTest, OneFolderTooManyIsRefusedAndNamed) {
  const TempDir dir;
  WriteClasses(dir / "photos", {"blue", "red"});
  EXPECT_EQ(ErrorOf(dir.path()),
            dir.path() +
                ": one folder around those of the classes (got only photos, want blue, red, "
                "which are in " +
                dir / "photos)");
  const TempDir deep;
  WriteClasses(deep / "a/b", {"blue", "red", "green"});
  WriteFile(deep / "a/cover.png", EncodePng(MakeImage(3, 3, 1, 0)));
  WriteFile(deep / "__MACOSX/a/._b", "x");
  EXPECT_EQ(ErrorOf(deep / "a"),
            deep / "a: one folder around those of the classes (got only b, want blue, green, red, "
                   "which are in " +
                deep / "a/b)");
  const TempDir splits;
  WriteClasses(splits / "a/b/train", {"blue", "red"});
  EXPECT_THAT(ErrorOf(splits.path()), HasSubstr("want train, which are in " + splits / "a/b)"));
  const TempDir list;
  WriteClasses(list / "a", {"img"});
  WriteFile(list / "a/labels.csv", "file,label\nimg/a.png,x\n");
  EXPECT_THAT(ErrorOf(list.path()), HasSubstr("which are in " + list / "a)"));
}

TEST(ImageFolderTest, LetsASingleClassHaveFoldersBesideItsPictures) {
  const TempDir dir;
  WriteClasses(dir.path(), {"bee"});
  WriteClasses(dir / "bee", {"2020"});
  EXPECT_THAT(Open(dir.path())->class_names(), ElementsAre("bee"));
  EXPECT_THAT(Open(dir.path())->samples(), SizeIs(2));
}

TEST(ImageFolderTest, LeavesSystemFoldersAndLoosePicturesOutAndSaysSo) {
  const TempDir dir;
  WriteClasses(dir.path(), {"a", "b"});
  WriteClasses(dir / "a", {"@eaDir"});
  WriteFile(dir / "__MACOSX/a/x.png", "x");
  WriteFile(dir / "loose.png", EncodePng(MakeImage(3, 3, 1, 0)));
  const auto dataset = Open(dir.path());
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->class_names(), ElementsAre("a", "b"));
  EXPECT_THAT(dataset->samples(), SizeIs(2));
  EXPECT_THAT(dataset->notes(), Contains(HasSubstr("left out 2 entries that are not pictures")));
  EXPECT_THAT(dataset->notes(), Contains("left out 1 pictures beside the class folders, first "
                                         "\"loose.png\""));
}

TEST(ImageFolderTest, KeepsNamesThatAreNotUtf8) {
  const TempDir dir;
  WriteClasses(dir.path(), {"blue", "caf\xe9"});
  DatasetOptions options;
  const auto dataset = Open(dir.path());
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->class_names(), ElementsAre("blue", "caf\\xE9"));
  Image image;
  EXPECT_TRUE(dataset->DecodeImage(1, {}, &image).ok());
  options.known_classes = dataset->class_names();
  EXPECT_NE(Open(dir.path(), options), nullptr);
}

TEST(ImageFolderTest, IsPassedOverForTheOneNpzInIt) {
  const TempDir dir;
  const Bytes npz = MakeZip(
      {{"x.npy", MakeNpy("|u1", "(1, 1, 1)", {99})}, {"y.npy", MakeNpy("|u1", "(1,)", {0})}});
  WriteFile(dir / "d.npz", npz);
  EXPECT_EQ(Open(dir.path())->format(), DatasetFormat::kNpz);
  WriteFile(dir / "e.npz", npz);
  EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("several .npz files (got d.npz and e.npz"));
}

TEST(SplitFolderTest, WithNoClassOfTrainingIsRefused) {
  const TempDir dir;
  WriteClasses(dir / "train", {"a", "b"});
  WriteClasses(dir / "val", {"images"});  // pictures that a list elsewhere labels
  EXPECT_EQ(ErrorOf(dir.path()), dir.path() + ": no class of val is one of train (got images)");
}
}  // namespace
}  // namespace pocketune::data
