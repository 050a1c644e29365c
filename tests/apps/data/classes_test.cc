#include "apps/data/classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> ClassesOfSamples(const Dataset& dataset) {
  std::vector<std::string> names;
  for (const Sample& sample : dataset.samples()) {
    names.push_back(dataset.class_names()[size_t(sample.label)]);
  }
  return names;
}

TEST(KnownClassesTest, AreMatchedByNameInTheOrderOfTheRun) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 2);  // ant, bee, cat
  const auto plain = Open(dir.path());
  DatasetOptions options;
  options.known_classes = {"cat", "dog", "ant", "bee"};
  const auto matched = Open(dir.path(), options);
  ASSERT_NE(matched, nullptr);
  EXPECT_THAT(matched->class_names(), ElementsAre("cat", "dog", "ant", "bee"));
  EXPECT_EQ(ClassesOfSamples(*matched), ClassesOfSamples(*plain));
  EXPECT_EQ(NamesIn(*matched, Split::kTest), NamesIn(*plain, Split::kTest));
  EXPECT_EQ(matched->CountPerClass(Split::kTrain)[1], 0);
}

TEST(KnownClassesTest, HoldTheFingerprintOfARunWhateverTheOrderOfToday) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 2);
  const auto plain = Open(dir.path());
  DatasetOptions options;
  options.known_classes = {"bee", "ant", "cat"};
  const uint64_t other = Open(dir.path(), options)->Fingerprint();
  EXPECT_NE(other, plain->Fingerprint());
  options.known_classes = {"ant", "bee", "cat"};
  EXPECT_EQ(Open(dir.path(), options)->Fingerprint(), plain->Fingerprint());
}

TEST(KnownClassesTest, NameAClassThatWasNotLearned) {
  const TempDir dir;
  WriteImageFolder(dir.path(), 1);
  DatasetOptions options;
  options.known_classes = {"ant", "cat"};
  EXPECT_THAT(ErrorOf(dir.path(), options),
              HasSubstr("a class that was not learned (got \"bee\", want of ant, cat)"));
}

TEST(KnownClassesTest, AreMatchedForArraysToo) {
  const TempDir dir;
  WriteFile(dir / "d.npz", MakeZip({{"x.npy", MakeNpy("|u1", "(2, 1, 1)", {3, 4})},
                                    {"y.npy", MakeNpy("|u1", "(2,)", {0, 1})}}));
  DatasetOptions options;
  options.known_classes = {"1", "0"};
  const auto dataset = Open(dir / "d.npz", options);
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->samples()[0].label, 1);
  EXPECT_EQ(dataset->samples()[1].label, 0);
}

TEST(ListNamesTest, ShortensALongList) {
  EXPECT_EQ(ListNames({}, 2), "");
  EXPECT_EQ(ListNames({"a", "b"}, 2), "a, b");
  EXPECT_EQ(ListNames({"a", "b", "c", "d"}, 2), "a, b and 2 more");
}

}  // namespace
}  // namespace pocketune::data
