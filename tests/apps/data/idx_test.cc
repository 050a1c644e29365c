#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/data/dataset.h"
#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr uint32_t kImages = 0x803, kLabels = 0x801;

class IdxTest : public ::testing::Test {
 protected:
  // Two training pictures and one test picture of 3x2.
  void WriteAll(bool zip) {
    const auto put = [&](const std::string& name, const Bytes& bytes) {
      WriteFile(dir_ / name + (zip ? ".gz" : ""), zip ? Gzip(bytes) : bytes);
    };
    put("train-images-idx3-ubyte", MakeIdx(kImages, {2, 3, 2}, Noise(12, 1)));
    put("train-labels-idx1-ubyte", MakeIdx(kLabels, {2}, {0, 2}));
    put("t10k-images-idx3-ubyte", MakeIdx(kImages, {1, 3, 2}, Noise(6, 2)));
    put("t10k-labels-idx1-ubyte", MakeIdx(kLabels, {1}, {1}));
  }
  std::string ErrorForImages(const Bytes& bytes) {
    WriteFile(dir_ / "train-images-idx3-ubyte", bytes);
    return ErrorOf(dir_.path());
  }

  TempDir dir_;
};

TEST_F(IdxTest, ReadsPlainAndZippedFiles) {
  for (bool zip : {false, true}) {
    const TempDir fresh;
    WriteAll(zip);
    DatasetOptions options;
    options.val_fraction = 0;
    const auto dataset = Open(dir_.path(), options);
    ASSERT_NE(dataset, nullptr);
    EXPECT_TRUE(dataset->in_memory());
    EXPECT_THAT(dataset->class_names(), ElementsAre("0", "1", "2"));
    EXPECT_THAT(dataset->Indices(Split::kTrain), ElementsAre(0, 1));
    EXPECT_THAT(dataset->Indices(Split::kTest), ElementsAre(2));
    EXPECT_EQ(dataset->samples()[1].label, 2);
    const Bytes train = Noise(12, 1);
    Image image;
    ASSERT_TRUE(dataset->DecodeImage(1, {}, &image).ok());
    EXPECT_EQ(image.height, 3);
    EXPECT_EQ(image.width, 2);
    EXPECT_EQ(image.pixels, Bytes(train.begin() + 6, train.end()));
    ASSERT_TRUE(dataset->DecodeImage(2, {}, &image).ok());
    EXPECT_EQ(image.pixels, Noise(6, 2));
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      std::filesystem::remove(entry.path());
    }
  }
}

TEST_F(IdxTest, TakesClassNames) {
  WriteAll(false);
  DatasetOptions options;
  options.class_names = {"shirt", "bag"};
  EXPECT_THAT(ErrorOf(dir_.path(), options),
              HasSubstr("too few class names (got 2, want at least 3)"));
  options.class_names = {"shirt", "bag", "boot"};
  EXPECT_THAT(Open(dir_.path(), options)->class_names(), ElementsAre("shirt", "bag", "boot"));
}

TEST_F(IdxTest, RefusesDamagedFiles) {
  WriteAll(false);
  const Bytes good = MakeIdx(kImages, {2, 3, 2}, Noise(12, 1));
  EXPECT_THAT(ErrorForImages(MakeIdx(0x00000802, {2, 3}, Noise(6, 1))),
              HasSubstr("bad IDX magic number (got 0x802, want 0x803)"));
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_NE(ErrorForImages({good.begin(), good.begin() + int64_t(n)}), "") << n;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(ErrorForImages(longer), HasSubstr("more data than its header says"));
  EXPECT_THAT(ErrorForImages(MakeIdx(kImages, {3, 0xffff, 0xffff}, {})),
              HasSubstr("bad dimension 1 (got 65535, want 1 to 8192)"));
  EXPECT_THAT(ErrorForImages(MakeIdx(kImages, {0xffffffff, 28, 28}, {})), HasSubstr("too large"));
  EXPECT_THAT(ErrorForImages(MakeIdx(kImages, {0, 28, 28}, {})), HasSubstr("bad dimension 0"));
  EXPECT_THAT(ErrorForImages(Gzip(MakeIdx(kImages, {1000, 1000, 1000}, {}))),
              HasSubstr("more than the file can hold"));
  EXPECT_THAT(ErrorForImages(MakeIdx(kImages, {1, 3, 2}, Noise(6, 1))),
              HasSubstr("not one label per picture (got 2, want 1)"));
  const Bytes zipped = Gzip(good);
  for (size_t n = 1; n < zipped.size(); ++n) {
    EXPECT_NE(ErrorForImages({zipped.begin(), zipped.begin() + int64_t(n)}), "") << n;
  }
  for (size_t byte = 10; byte < zipped.size(); ++byte) {
    Bytes flipped = zipped;
    flipped[byte] ^= 0x10;
    EXPECT_NE(ErrorForImages(flipped), "") << byte;
  }
  std::filesystem::remove(dir_ / "train-labels-idx1-ubyte");
  EXPECT_THAT(ErrorForImages(good), HasSubstr("no labels beside train-images-idx3-ubyte"));
}

TEST(FashionMnistTest, OpensWithAllPictures) {
  const std::string path = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not installed";
  const auto dataset = Open(path);
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->class_names(), SizeIs(10));
  EXPECT_THAT(dataset->CountPerClass(Split::kTrain), ::testing::Each(5400));
  EXPECT_THAT(dataset->CountPerClass(Split::kVal), ::testing::Each(600));
  EXPECT_THAT(dataset->CountPerClass(Split::kTest), ::testing::Each(1000));
  Image image;
  ASSERT_TRUE(dataset->DecodeImage(69999, {}, &image).ok());
  EXPECT_EQ(image.height, 28);
  EXPECT_EQ(dataset->samples()[69999].label, 5);
}

// Two pictures of a colour of their own and their labels under these names.
void WriteIdxPair(const std::string& images, const std::string& labels, uint8_t pixel) {
  const auto put = [](const std::string& path, const Bytes& bytes) {
    WriteFile(path, path.ends_with(".gz") ? Gzip(bytes) : bytes);
  };
  put(images, MakeIdx(kImages, {2, 1, 1}, {pixel, pixel}));
  put(labels, MakeIdx(kLabels, {2}, {1, 2}));
}

void ExpectTrainAndTest(const std::string& path, const std::string& train,
                        const std::string& test) {
  DatasetOptions options;
  options.val_fraction = 0;
  const auto dataset = Open(path, options);
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->format(), DatasetFormat::kIdx);
  EXPECT_THAT(dataset->class_names(), ElementsAre("1", "2"));
  EXPECT_THAT(NamesIn(*dataset, Split::kTrain), ElementsAre(train + "[0]", train + "[1]"));
  EXPECT_THAT(NamesIn(*dataset, Split::kTest), ElementsAre(test + "[0]", test + "[1]"));
  Image image;
  ASSERT_TRUE(dataset->DecodeImage(2, {}, &image).ok());
  EXPECT_EQ(image.pixels[0], 200);
}

TEST_F(IdxTest, ReadsNamesWithDots) {
  WriteIdxPair(dir_ / "train-images.idx3-ubyte", dir_ / "train-labels.idx1-ubyte", 100);
  WriteIdxPair(dir_ / "t10k-images.idx3-ubyte", dir_ / "t10k-labels.idx1-ubyte", 200);
  // As an archive of MNIST has them once more.
  WriteIdxPair(dir_ / "train-images-idx3-ubyte/train-images-idx3-ubyte",
               dir_ / "train-labels-idx1-ubyte/train-labels-idx1-ubyte", 9);
  ExpectTrainAndTest(dir_.path(), "train-images.idx3-ubyte", "t10k-images.idx3-ubyte");
}

TEST_F(IdxTest, ReadsNamesOfEmnist) {
  const std::string stem = "emnist-letters-";
  WriteIdxPair(dir_ / stem + "train-images-idx3-ubyte.gz",
               dir_ / stem + "train-labels-idx1-ubyte.gz", 100);
  WriteIdxPair(dir_ / stem + "test-images-idx3-ubyte.gz", dir_ / stem + "test-labels-idx1-ubyte.gz",
               200);
  WriteFile(dir_ / "emnist-letters-mapping.txt", "1 65 97\n");
  ExpectTrainAndTest(dir_.path(), stem + "train-images-idx3-ubyte.gz",
                     stem + "test-images-idx3-ubyte.gz");
  WriteIdxPair(dir_ / "emnist-digits-train-images-idx3-ubyte.gz",
               dir_ / "emnist-digits-train-labels-idx1-ubyte.gz", 1);
  EXPECT_THAT(ErrorOf(dir_.path()),
              HasSubstr("several IDX sets (got emnist-digits, emnist-letters, "
                        "want one"));
}

TEST_F(IdxTest, ReadsFilesInFolders) {
  WriteIdxPair(dir_ / "MNIST/raw/train-images-idx3-ubyte",
               dir_ / "MNIST/raw/train-labels-idx1-ubyte", 100);
  WriteIdxPair(dir_ / "MNIST/raw/t10k-images-idx3-ubyte", dir_ / "MNIST/raw/t10k-labels-idx1-ubyte",
               200);
  ExpectTrainAndTest(dir_.path(), "MNIST/raw/train-images-idx3-ubyte",
                     "MNIST/raw/t10k-images-idx3-ubyte");
  WriteIdxPair(dir_ / "Fashion/raw/train-images-idx3-ubyte",
               dir_ / "Fashion/raw/train-labels-idx1-ubyte", 1);
  EXPECT_THAT(
      ErrorOf(dir_.path()),
      HasSubstr("several IDX sets (got Fashion/raw/train-images-idx3-ubyte and MNIST/raw/"));
}

TEST_F(IdxTest, ReadsEachFileInAFolderOfItsOwn) {
  for (const std::string& name : {std::string("train"), std::string("test")}) {
    const std::string images = "e-" + name + "-images-idx3-ubyte",
                      labels = "e-" + name + "-labels-idx1-ubyte";
    WriteIdxPair(dir_ / images + "/" + images, dir_ / labels + "/" + labels,
                 name == "train" ? 100 : 200);
  }
  ExpectTrainAndTest(dir_.path(), "e-train-images-idx3-ubyte/e-train-images-idx3-ubyte",
                     "e-test-images-idx3-ubyte/e-test-images-idx3-ubyte");
}

TEST_F(IdxTest, LeavesFoldersWithPicturesToTheirReader) {
  WriteImageFolder(dir_.path(), 2);
  WriteIdxPair(dir_ / "zoo/train-images-idx3-ubyte", dir_ / "zoo/train-labels-idx1-ubyte", 1);
  EXPECT_THAT(ErrorOf(dir_.path()), HasSubstr("zoo: empty class folder"));
}

TEST_F(IdxTest, WantsBothFilesOfASplit) {
  WriteAll(false);
  std::filesystem::remove(dir_ / "t10k-images-idx3-ubyte");
  EXPECT_THAT(ErrorOf(dir_.path()), HasSubstr("no pictures beside t10k-labels-idx1-ubyte"));
}

TEST_F(IdxTest, MakesClassesOfTheLabelsThatOccur) {
  WriteIdxPair(dir_ / "train-images-idx3-ubyte", dir_ / "train-labels-idx1-ubyte", 100);
  EXPECT_THAT(Open(dir_.path())->class_names(), ElementsAre("1", "2"));
  EXPECT_THAT(Open(dir_.path())->notes(),
              Contains("classes are the labels that occur: 2 from 1 to 2"));
  DatasetOptions options;
  options.class_names = {"none", "a", "b"};
  const auto named = Open(dir_.path(), options);
  EXPECT_THAT(named->class_names(), ElementsAre("none", "a", "b"));
  EXPECT_EQ(named->samples()[0].label, 1);
}
}  // namespace
}  // namespace pocketune::data
