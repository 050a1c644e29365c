#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/data/dataset.h"
#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace pocketune::data
