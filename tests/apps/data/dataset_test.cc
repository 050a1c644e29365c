#include "apps/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(DatasetTest, TellsMissingFromUnreadableAndFromBad) {
  const TempDir dir;
  EXPECT_TRUE(absl::IsNotFound(OpenDataset(dir / "none", {}).status()));
  WriteFile(dir / "a.txt", "hello");
  EXPECT_THAT(ErrorOf(dir / "a.txt"), HasSubstr("not a dataset"));
  WriteFile(dir / "empty.npz", Bytes{});
  EXPECT_THAT(ErrorOf(dir / "empty.npz"), HasSubstr("not a dataset"));
  if (geteuid() != 0) {  // root reads everything
    mkdir((dir / "closed").c_str(), 0);
    EXPECT_TRUE(absl::IsUnavailable(OpenDataset(dir / "closed", {}).status()));
  }
  mkfifo((dir / "pipe").c_str(), 0600);
  EXPECT_THAT(ErrorOf(dir / "pipe"), HasSubstr("not a regular file"));
  DatasetOptions options;
  options.val_fraction = -1;
  EXPECT_TRUE(absl::IsInvalidArgument(OpenDataset(dir.path(), options).status()));
}

TEST(DatasetTest, SplitsByClassAndSeed) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 20);
  DatasetOptions options;
  options.seed = 5;
  const auto a = Open(dir.path(), options), again = Open(dir.path(), options);
  EXPECT_THAT(a->CountPerClass(Split::kTrain), ElementsAre(14, 14, 14));
  EXPECT_THAT(a->CountPerClass(Split::kVal), ElementsAre(2, 2, 2));
  EXPECT_THAT(a->CountPerClass(Split::kTest), ElementsAre(4, 4, 4));
  EXPECT_EQ(NamesIn(*a, Split::kTest), NamesIn(*again, Split::kTest));
  options.seed = 6;
  EXPECT_NE(NamesIn(*a, Split::kTest), NamesIn(*Open(dir.path(), options), Split::kTest));
}

TEST(DatasetTest, AFingerprintTellsAnyChange) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 5);
  const uint64_t before = Open(dir.path())->Fingerprint();
  EXPECT_EQ(Open(dir.path())->Fingerprint(), before);
  DatasetOptions other_splits;
  other_splits.seed = 2;
  EXPECT_NE(Open(dir.path(), other_splits)->Fingerprint(), before);
  const std::string name = Open(dir.path())->samples()[0].name;
  const std::string path = dir / name, moved = dir / ("bee/moved" + name.substr(name.size() - 4));
  std::filesystem::rename(path, moved);
  EXPECT_NE(Open(dir.path())->Fingerprint(), before);
  std::filesystem::rename(moved, path);
  EXPECT_EQ(Open(dir.path())->Fingerprint(), before);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_NE(Open(dir.path())->Fingerprint(), before);
}

TEST(DatasetTest, LeavesAPictureOfEachClassForTraining) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 1);
  DatasetOptions options;
  options.val_fraction = 0.4;
  options.test_fraction = 0.5;
  EXPECT_THAT(Open(dir.path(), options)->CountPerClass(Split::kTrain), ElementsAre(1, 1, 1));
}

TEST(DatasetTest, LimitsSamplesPerClass) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 20);
  DatasetOptions options;
  options.max_train_per_class = 5;
  options.max_eval_per_class = 1;
  const auto dataset = Open(dir.path(), options);
  EXPECT_THAT(dataset->CountPerClass(Split::kTrain), ElementsAre(5, 5, 5));
  EXPECT_THAT(dataset->CountPerClass(Split::kVal), ElementsAre(1, 1, 1));
  EXPECT_THAT(dataset->samples(), SizeIs(60));
}

TEST(DatasetTest, SaysImbalanceAndSingleClasses) {
  const TempDir dir;
  const Bytes png = EncodePng(MakeImage(2, 2, 1, 0));
  for (int i = 0; i < 23; ++i) WriteFile(dir / "many/" + std::to_string(i) + ".png", png);
  DatasetOptions options;
  options.val_fraction = options.test_fraction = 0;
  EXPECT_THAT(Open(dir.path(), options)->notes(), ElementsAre(HasSubstr("only one class")));
  for (int i = 0; i < 2; ++i) WriteFile(dir / "few/" + std::to_string(i) + ".png", png);
  EXPECT_THAT(Open(dir.path(), options)->notes(),
              ElementsAre("class imbalance: 23 training samples of \"many\", 2 of \"few\" "
                          "(ratio 11.5)"));
}

}  // namespace
}  // namespace pocketune::data
