#include "apps/data/classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::Contains;
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
  EXPECT_THAT(
      ErrorOf(dir.path(), options),
      HasSubstr("a class that was not learned (got \"bee\", want of the classes ant, cat)"));
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

std::vector<std::string> Sorted(std::vector<std::string> names) {
  SortClassNames(&names);
  return names;
}

TEST(ClassOrderTest, IsByValueWhereAllNamesAreNumbers) {
  EXPECT_THAT(Sorted({"0", "1", "10", "11", "2"}), ElementsAre("0", "1", "2", "10", "11"));
  EXPECT_THAT(Sorted({"10", "01", "2", "1"}), ElementsAre("01", "1", "2", "10"));
  EXPECT_THAT(Sorted({"0.5", "-3", "10", "2.25", "-3.5"}),
              ElementsAre("-3.5", "-3", "0.5", "2.25", "10"));
  EXPECT_THAT(Sorted({"123456789012345678901", "99999999999999999999", "3"}),
              ElementsAre("3", "99999999999999999999", "123456789012345678901"));
}

TEST(ClassOrderTest, IsByBytesElse) {
  EXPECT_THAT(Sorted({"b", "10", "2", "B"}), ElementsAre("10", "2", "B", "b"));
  EXPECT_THAT(Sorted({"10", "2", "1e3"}), ElementsAre("10", "1e3", "2"));
  EXPECT_THAT(Sorted({"10", "2", "."}), ElementsAre(".", "10", "2"));
}

// The same twelve grey pictures from each source.
class SameClassesTest : public ::testing::Test {
 protected:
  static constexpr int kClasses = 12;
  void ExpectClasses(const std::string& path) {
    DatasetOptions options;
    options.val_fraction = options.test_fraction = 0;
    const auto dataset = Open(path, options);
    ASSERT_NE(dataset, nullptr);
    ASSERT_EQ(dataset->class_names().size(), size_t(kClasses));
    for (int c = 0; c < kClasses; ++c) {
      EXPECT_EQ(dataset->class_names()[size_t(c)], std::to_string(c));
    }
    for (int64_t i = 0; i < kClasses; ++i) {
      Image image;
      ASSERT_TRUE(dataset->DecodeImage(i, {}, &image).ok());
      EXPECT_EQ(image.pixels[0], 20 * dataset->samples()[size_t(i)].label) << path;
    }
  }
  TempDir dir_;
};

TEST_F(SameClassesTest, ComeFromFoldersListsAndArrays) {
  std::string list = "file,label\n";
  Bytes pixels, labels;
  for (int c = 0; c < kClasses; ++c) {
    Image image;
    image.Reset(1, 1, 1);
    image.pixels[0] = uint8_t(20 * c);
    const std::string name = std::to_string(c) + "/a.png";
    WriteFile(dir_ / "folders/" + name, EncodePng(image));
    WriteFile(dir_ / "list/" + name, EncodePng(image));
    list += name + "," + std::to_string(c) + "\n";
    pixels.push_back(uint8_t(20 * c));
    labels.push_back(uint8_t(c));
  }
  WriteFile(dir_ / "list/labels.csv", list);
  WriteFile(dir_ / "d.npz", MakeZip({{"x.npy", MakeNpy("|u1", "(12, 1, 1)", pixels)},
                                     {"y.npy", MakeNpy("|u1", "(12,)", labels)}}));
  WriteFile(dir_ / "idx/train-images-idx3-ubyte", MakeIdx(0x803, {kClasses, 1, 1}, pixels));
  WriteFile(dir_ / "idx/train-labels-idx1-ubyte", MakeIdx(0x801, {kClasses}, labels));
  for (const char* source : {"folders", "list", "d.npz", "idx"}) ExpectClasses(dir_ / source);
}

TEST(ReadableNameTest, KeepsUtf8AndEscapesOtherBytes) {
  EXPECT_EQ(ReadableName("\u00c4pfel \U0001F34E"), "\u00c4pfel \U0001F34E");
  EXPECT_EQ(ReadableName("caf\xe9"), "caf\\xE9");
  EXPECT_EQ(ReadableName("C:\\xampp"), "C:\\xampp");
  EXPECT_EQ(ReadableName("\xed\xa0\x80"), "\\xED\\xA0\\x80");  // a surrogate
  EXPECT_EQ(ReadableName("\xc0\xaf\xff"), "\\xC0\\xAF\\xFF");  // overlong, and no character
}

TEST(ReadableNameTest, TellsNamesApartAndLeadsBack) {
  std::vector<std::string> readable;
  for (const std::string& bytes :
       {std::string("caf\xe9"), std::string("caf\\xE9"), std::string("caf\\x5CxE9"),
        std::string("a\\b\xe9"), std::string("\\\\xE9"), std::string("\xe2\x82"), std::string()}) {
    const std::string name = ReadableName(bytes);
    EXPECT_EQ(BytesOfName(name), bytes);
    EXPECT_THAT(readable, ::testing::Not(Contains(name)));
    readable.push_back(name);
  }
}

TEST(StripSpaceTest, TakesOffWhiteSpaceOfUnicodeToo) {
  EXPECT_EQ(StripSpace(" \t blue car \r\n"), "blue car");
  EXPECT_EQ(StripSpace("\xc2\xa0"
                       "blue\xe3\x80\x80"),
            "blue");
  EXPECT_EQ(StripSpace(" \xc2\xa0 "), "");
  EXPECT_EQ(StripSpace("\xc3\xa9"), "\xc3\xa9");
}

TEST(DatasetNotesTest, NameClassesThatDifferInCaseOrSpaceAlone) {
  const TempDir dir;
  for (const char* name : {"Blue", "blue ", "red"}) {
    WriteFile(dir / name + "/a.png", EncodePng(MakeImage(2, 2, 1, 0)));
  }
  EXPECT_THAT(Open(dir.path())->notes(),
              Contains(HasSubstr("case or space alone: \"Blue\", \"blue \"")));
}
}  // namespace
}  // namespace pocketune::data
