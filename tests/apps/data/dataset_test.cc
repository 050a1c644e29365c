#include "apps/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/apps/data/data_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string ErrorOf(const std::string& path, const DatasetOptions& options = {}) {
  const auto dataset = OpenDataset(path, options);
  return dataset.ok() ? "" : std::string(dataset.status().message());
}

// Opens what must open.
std::unique_ptr<Dataset> Open(const std::string& path, const DatasetOptions& options = {}) {
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = OpenDataset(path, options);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return dataset.ok() ? *std::move(dataset) : nullptr;
}

std::vector<std::string> NamesIn(const Dataset& dataset, Split split) {
  std::vector<std::string> names;
  for (int64_t i : dataset.Indices(split)) names.push_back(dataset.samples()[i].name);
  return names;
}

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

class NpzTest : public ::testing::Test {
 protected:
  std::string ErrorFor(const Bytes& bytes) {
    WriteFile(dir_ / "d.npz", bytes);
    return ErrorOf(dir_ / "d.npz");
  }
  std::string ErrorForArrays(const Bytes& x, const Bytes& y) {
    return ErrorFor(MakeZip({{"x.npy", x}, {"y.npy", y}}));
  }

  const Bytes x_ = MakeNpy("|u1", "(2, 3, 5)", Noise(30, 1));
  const Bytes y_ = MakeNpy("<i8", "(2,)", {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  TempDir dir_;
};

TEST_F(NpzTest, ReadsStoredAndDeflatedArrays) {
  for (bool deflated : {false, true}) {
    WriteFile(dir_ / "d.npz",
              MakeZip({{"images.npy", x_, deflated}, {"labels.npy", y_, deflated}}));
    DatasetOptions options;
    options.val_fraction = options.test_fraction = 0;
    const auto dataset = Open(dir_ / "d.npz", options);
    ASSERT_NE(dataset, nullptr);
    EXPECT_EQ(dataset->format(), DatasetFormat::kNpz);
    EXPECT_EQ(dataset->samples()[0].label, 1);
    EXPECT_EQ(dataset->samples()[1].label, 0);
    const Bytes pixels = Noise(30, 1);
    Image image;
    ASSERT_TRUE(dataset->DecodeImage(1, {}, &image).ok());
    EXPECT_EQ(image.pixels, Bytes(pixels.begin() + 15, pixels.end()));
  }
}

TEST_F(NpzTest, ReadsSplitsAndFloats) {
  Bytes floats;
  for (float v : {0.0f, 0.5f, 1.0f}) {
    uint32_t bits;
    std::memcpy(&bits, &v, 4);
    AppendLittle(bits, 4, &floats);
  }
  WriteFile(dir_ / "d.npz", MakeZip({{"x_train.npy", MakeNpy("<f4", "(1, 1, 1, 3)", floats)},
                                     {"y_train.npy", MakeNpy("|u1", "(1, 1)", {0})},
                                     {"x_test.npy", MakeNpy("|u1", "(1, 1, 1, 3)", {7, 8, 9})},
                                     {"y_test.npy", MakeNpy("<u2", "(1,)", {1, 0})}}));
  const auto dataset = Open(dir_ / "d.npz");
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(NamesIn(*dataset, Split::kTrain), ElementsAre("x_train.npy[0]"));
  EXPECT_THAT(NamesIn(*dataset, Split::kTest), ElementsAre("x_test.npy[0]"));
  Image image;
  ASSERT_TRUE(dataset->DecodeImage(0, {}, &image).ok());
  EXPECT_EQ(image.pixels, (Bytes{0, 128, 255}));
}

TEST_F(NpzTest, RefusesEveryTruncationAndAcceptsNoFlippedByteUnseen) {
  const Bytes good = MakeZip({{"x.npy", x_, true}, {"y.npy", y_}});
  ASSERT_EQ(ErrorFor(good), "");
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_NE(ErrorFor({good.begin(), good.begin() + int64_t(n)}), "") << n;
  }
  const auto want = Open((WriteFile(dir_ / "good.npz", good), dir_ / "good.npz"));
  for (size_t byte = 0; byte < good.size(); ++byte) {
    Bytes flipped = good;
    flipped[byte] ^= 0x21;
    WriteFile(dir_ / "d.npz", flipped);
    const auto got = OpenDataset(dir_ / "d.npz", {});
    if (!got.ok()) continue;
    // Times, versions and attributes of zip mean nothing here; pixels and labels must be the same.
    for (int64_t i = 0; i < 2; ++i) {
      Image a, b;
      ASSERT_TRUE(want->DecodeImage(i, {}, &a).ok());
      ASSERT_TRUE((*got)->DecodeImage(i, {}, &b).ok());
      EXPECT_EQ(a.pixels, b.pixels) << byte;
      EXPECT_EQ(want->samples()[i].label, (*got)->samples()[i].label) << byte;
    }
  }
}

TEST_F(NpzTest, NamesWhatIsWrongWithAnArray) {
  EXPECT_THAT(ErrorFor(MakeZip({{"x.npy", x_}})), HasSubstr("no labels for x.npy"));
  EXPECT_THAT(ErrorFor(MakeZip({{"a.npy", x_}})), HasSubstr("no pictures"));
  EXPECT_THAT(ErrorFor(MakeZip({})), HasSubstr("no pictures"));
  EXPECT_THAT(ErrorFor(MakeZip({{"x.npy", x_}, {"x.npy", x_}})), HasSubstr("twice"));
  EXPECT_THAT(ErrorForArrays(Noise(200, 1), y_), HasSubstr("x.npy: not an .npy array"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|u1", "(2, 3, 5)", Noise(29, 1)), y_),
              HasSubstr("shape and size differ (got 29 bytes, want 30)"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|u1", "(9223372036854775807, 9, 9)", {}), y_),
              HasSubstr("shape and size differ"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("<f8", "(2, 1, 1)", Noise(16, 1)), y_),
              HasSubstr("bad type of pixels (got <f8"));
  EXPECT_THAT(ErrorForArrays(MakeNpy(">f4", "(2, 1, 1)", Noise(8, 1)), y_),
              HasSubstr("unsupported type (got >f4"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|O", "(2, 1, 1)", Noise(8, 1)), y_), HasSubstr("x.npy: "));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|u1", "(2, 15)", Noise(30, 1)), y_),
              HasSubstr("bad shape of pictures"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|u1", "(2, 3, 5, 2)", Noise(60, 1)), y_),
              HasSubstr("bad shape of pictures"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|u1", "(-2, 3, 5)", Noise(30, 1)), y_),
              HasSubstr("damaged .npy header"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("<f4", "(1, 1, 1)", {0, 0, 0xc0, 0x7f}), y_),
              HasSubstr("bad pixel values"));
  EXPECT_THAT(ErrorForArrays(x_, MakeNpy("|i1", "(2,)", {0, 0xff})),
              HasSubstr("negative label at index 1"));
  EXPECT_THAT(ErrorForArrays(x_, MakeNpy("<i4", "(2,)", {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})),
              HasSubstr("bad label at index 1"));
  EXPECT_THAT(ErrorForArrays(x_, MakeNpy("|u1", "(3,)", {0, 0, 0})),
              HasSubstr("want one label for each of 2 pictures"));
  EXPECT_THAT(ErrorForArrays(x_, MakeNpy("<f4", "(2,)", Noise(8, 1))),
              HasSubstr("bad type of labels"));
}

}  // namespace
}  // namespace pocketune::data
