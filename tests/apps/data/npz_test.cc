#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "apps/data/dataset.h"
#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
              HasSubstr("bad pixel values"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("<c8", "(2, 1, 1)", Noise(16, 1)), y_),
              HasSubstr("unsupported type (got <c8"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("<U1", "(2, 1, 1)", Noise(8, 1)), y_),
              HasSubstr("bad type of pixels (got <U1"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|O", "(2, 1, 1)", Noise(8, 1)), y_),
              HasSubstr("x.npy: an array of objects is a pickle, which is never read"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|u1", "(2, 15)", Noise(30, 1)), y_),
              HasSubstr("bad shape of pictures"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|u1", "(2, 3, 5, 2)", Noise(60, 1)), y_),
              HasSubstr("bad shape of pictures"));
  EXPECT_THAT(
      ErrorForArrays(MakeNpy("|u1", "(2, 3, 5, 7)", Noise(210, 1)), y_),
      HasSubstr("(got 2x3x5x7, want [N,H,W] or [N,H,W,C], C 1 or 3: x.transpose(0, 2, 3, 1))"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("|u1", "(-2, 3, 5)", Noise(30, 1)), y_),
              HasSubstr("damaged .npy header"));
  EXPECT_THAT(ErrorForArrays(MakeNpy("<f4", "(1, 1, 1)", {0, 0, 0xc0, 0x7f}), y_),
              HasSubstr("bad pixel values"));
  EXPECT_THAT(ErrorForArrays(x_, MakeNpy("|i1", "(2,)", {0, 0xff})),
              HasSubstr("bad label at index 1 (got -1, want 0 or more)"));
  EXPECT_THAT(ErrorForArrays(x_, MakeNpy("<i4", "(2,)", {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})),
              HasSubstr("bad label at index 1"));
  EXPECT_THAT(ErrorForArrays(x_, MakeNpy("|u1", "(3,)", {0, 0, 0})),
              HasSubstr("want one label for each of 2 pictures"));
  EXPECT_THAT(ErrorForArrays(x_, MakeNpy("<f4", "(2,)", Noise(8, 1))),
              HasSubstr("bad type of labels"));
}

template <class T>
Bytes BytesOf(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

Bytes Reversed(Bytes bytes, size_t unit) {
  for (auto at = bytes.begin(); at < bytes.end(); at += int64_t(unit)) {
    std::reverse(at, at + int64_t(unit));
  }
  return bytes;
}

// Arrays of one column of pixels, one picture each.
class NpzPixelsTest : public NpzTest {
 protected:
  static std::string Shape(size_t n) { return "(" + std::to_string(n) + ", 1, 1)"; }
  static ZipEntry Labels(const std::string& name, size_t n) {
    return {name, MakeNpy("|u1", "(" + std::to_string(n) + ",)", Bytes(n, 0))};
  }
  template <class T>
  static ZipEntry Pixels(const std::string& name, const std::string& dtype,
                         const std::vector<T>& values) {
    return {name, MakeNpy(dtype, Shape(values.size()), BytesOf(values))};
  }
  // The bytes that all pictures become, in their order; the error where there are none.
  Bytes PixelsOf(const std::vector<ZipEntry>& entries) {
    WriteFile(dir_ / "d.npz", MakeZip(entries));
    const auto dataset = OpenDataset(dir_ / "d.npz", {});
    error_ = dataset.ok() ? "" : std::string(dataset.status().message());
    notes_ = dataset.ok() ? (*dataset)->notes() : std::vector<std::string>();
    Bytes pixels;
    for (size_t i = 0; dataset.ok() && i < (*dataset)->samples().size(); ++i) {
      Image image;
      EXPECT_TRUE((*dataset)->DecodeImage(int64_t(i), {}, &image).ok());
      pixels.push_back(image.pixels[0]);
    }
    return pixels;
  }
  template <class T>
  Bytes PixelsOf(const std::string& dtype, const std::vector<T>& values) {
    return PixelsOf({Pixels("x.npy", dtype, values), Labels("y.npy", values.size())});
  }

  std::string error_;
  std::vector<std::string> notes_;
};

TEST_F(NpzPixelsTest, AreOf0To1WithATinyOvershoot) {
  EXPECT_EQ(PixelsOf<float>("<f4", {0, 0.5f, 1, std::nextafter(1.0f, 2.0f), -1e-7f, 1.015f}),
            (Bytes{0, 128, 255, 255, 0, 255}));
  EXPECT_THAT(notes_, Contains(HasSubstr("pixels: 0 to 1, scaled by 255 (got -1")));
  EXPECT_EQ(PixelsOf<double>("<f8", {0, 0.2, 1}), (Bytes{0, 51, 255}));
  EXPECT_THAT(notes_, Contains("pixels: 0 to 1, scaled by 255"));
}

TEST_F(NpzPixelsTest, AreOf0To255WithATinyOvershoot) {
  EXPECT_EQ(PixelsOf<float>("<f4", {0, 0.4f, 254.6f, 255.00002f, -0.01f, 258}),
            (Bytes{0, 0, 255, 255, 0, 255}));
  EXPECT_THAT(
      notes_,
      Contains(HasSubstr("pixels: 0 to 255 (got -0.00999999978 to 258: 3 values cut off)")));
}

TEST_F(NpzPixelsTest, HaveOneRangeInAllArrays) {
  // A test split that happens to be black.
  EXPECT_EQ(PixelsOf({Pixels<float>("x_train.npy", "<f4", {0, 100, 255}), Labels("y_train.npy", 3),
                      Pixels<float>("x_test.npy", "<f4", {1, 0}), Labels("y_test.npy", 2)}),
            (Bytes{0, 100, 255, 1, 0}));
  EXPECT_EQ(
      PixelsOf({Pixels<float>("x_train.npy", "<f4", {0, 0.5f, 1}), Labels("y_train.npy", 3),
                Pixels<float>("x_test.npy", "<f4", {1.0000001f, 0.2f}), Labels("y_test.npy", 2)}),
      (Bytes{0, 128, 255, 255, 51}));
  PixelsOf({Pixels<float>("x_train.npy", "<f4", {0, 0.5f, 1}), Labels("y_train.npy", 3),
            Pixels<float>("x_test.npy", "<f4", {0, 255}), Labels("y_test.npy", 2)});
  EXPECT_THAT(error_, HasSubstr("x_train.npy: pixel values of 0 to 1 beside an array of 0 to 255"));
}

TEST_F(NpzPixelsTest, OfADoubtfulRangeAreRefused) {
  for (const auto& values :
       std::vector<std::vector<float>>{{0, 1.5f}, {0, 3}, {0, 0.5f, 16}, {0, 31}}) {
    PixelsOf("<f4", values);
    EXPECT_THAT(error_, HasSubstr("may be of 0 to 1 or of 0 to 255 (got 0 to ")) << values.back();
  }
  for (const auto& values : std::vector<std::vector<float>>{
           {-1, 1}, {-0.1f, 1}, {0, 270}, {-20, 255}, {0, 65535}, {-2.1f, 2.6f}}) {
    PixelsOf("<f4", values);
    EXPECT_THAT(error_, HasSubstr("bad pixel values (got ")) << values.back();
  }
  PixelsOf<float>("<f4", {0, NAN});
  EXPECT_THAT(error_, HasSubstr("bad pixel values (got nan at index 1"));
  PixelsOf<double>("<f8", {INFINITY, 0});
  EXPECT_THAT(error_, HasSubstr("bad pixel values (got inf at index 0"));
  PixelsOf<int64_t>("<i8", {0, 1});
  EXPECT_THAT(error_, HasSubstr("whole pixel values of 0 and 1 alone"));
}

TEST_F(NpzPixelsTest, AreTakenOfEveryTypeOfNumber) {
  const Bytes want = {0, 7, 255};
  EXPECT_EQ(PixelsOf<uint16_t>("<u2", {0, 7, 255}), want);
  EXPECT_EQ(PixelsOf<int16_t>("<i2", {0, 7, 255}), want);
  EXPECT_EQ(PixelsOf<uint32_t>("<u4", {0, 7, 255}), want);
  EXPECT_EQ(PixelsOf<int32_t>("<i4", {0, 7, 255}), want);
  EXPECT_EQ(PixelsOf<int64_t>("<i8", {0, 7, 255}), want);
  EXPECT_EQ(PixelsOf<uint64_t>("<u8", {0, 7, 255}), want);
  EXPECT_EQ(PixelsOf<uint16_t>("<f2", {0, 0x4700, 0x5bf8}), want);  // 7 and 255 in half precision
  EXPECT_EQ(PixelsOf<uint16_t>("<f2", {0x3800, 0x3c00}), (Bytes{128, 255}));  // 0.5 and 1
  EXPECT_EQ(PixelsOf<uint8_t>("|b1", {0, 1, 1}), (Bytes{0, 255, 255}));
  PixelsOf<uint16_t>("<u2", {0, 4095});
  EXPECT_THAT(error_, HasSubstr("bad pixel values (got 0 to 4095"));
  PixelsOf<int8_t>("|i1", {0, -100});
  EXPECT_THAT(error_, HasSubstr("bad pixel values (got -100 to 0"));
}

TEST_F(NpzPixelsTest, AreTakenInEitherByteOrder) {
  const std::vector<float> values = {0, 0.5f, 1};
  EXPECT_EQ(PixelsOf({{"x.npy", MakeNpy(">f4", "(3, 1, 1)", Reversed(BytesOf(values), 4))},
                      Labels("y.npy", 3)}),
            (Bytes{0, 128, 255}));
  EXPECT_EQ(PixelsOf({{"x.npy", MakeNpy(">i2", "(2, 1, 1)", {0, 200, 0, 9})}, Labels("y.npy", 2)}),
            (Bytes{200, 9}));
}

TEST_F(NpzTest, ReadsArraysOfFortransOrder) {
  // Of two pictures of 2x3: the picture's index runs fastest, then the row, then the column.
  Bytes fortran = MakeNpy("|u1", "(2, 2, 3)", {0, 6, 3, 9, 1, 7, 4, 10, 2, 8, 5, 11});
  std::string text(fortran.begin(), fortran.end());
  text.replace(text.find("False"), 5, "True ");
  fortran.assign(text.begin(), text.end());
  ASSERT_EQ(ErrorForArrays(fortran, y_), "");
  const auto dataset = Open(dir_ / "d.npz");
  Image image;
  ASSERT_TRUE(dataset->DecodeImage(0, {}, &image).ok());
  EXPECT_EQ(image.pixels, (Bytes{0, 1, 2, 3, 4, 5}));
  ASSERT_TRUE(dataset->DecodeImage(1, {}, &image).ok());
  EXPECT_EQ(image.pixels, (Bytes{6, 7, 8, 9, 10, 11}));
}

TEST_F(NpzPixelsTest, OfBytesStayAsTheyAre) {
  EXPECT_EQ(PixelsOf<uint8_t>("|u1", {0, 1, 1}), (Bytes{0, 1, 1}));
  EXPECT_THAT(notes_, Contains(HasSubstr("pixels: bytes of 0 to 255, none above 1: nearly black")));
  EXPECT_EQ(PixelsOf<uint8_t>("|u1", {0, 32}), (Bytes{0, 32}));
  EXPECT_THAT(notes_, ::testing::Not(Contains(HasSubstr("pixels"))));
  PixelsOf({Pixels<float>("x_train.npy", "<f4", {0, 0.5f, 1}), Labels("y_train.npy", 3),
            Pixels<uint8_t>("x_test.npy", "|u1", {0, 1}), Labels("y_test.npy", 2)});
  EXPECT_THAT(error_, HasSubstr("arrays of 0 to 1 beside bytes or 0 to 255"));
}

class NpzLabelsTest : public NpzTest {
 protected:
  // Two pictures with labels of this type.
  std::string ErrorForLabels(const std::string& dtype, const Bytes& data) {
    return ErrorForArrays(x_, MakeNpy(dtype, "(2,)", data));
  }
  std::vector<std::string> ClassesOf(const std::string& dtype, const Bytes& data) {
    EXPECT_EQ(ErrorForLabels(dtype, data), "");
    const auto dataset = Open(dir_ / "d.npz");
    std::vector<std::string> classes;
    for (const Sample& sample : dataset->samples()) {
      classes.push_back(dataset->class_names()[size_t(sample.label)]);
    }
    return classes;
  }
};

TEST_F(NpzLabelsTest, ThatAreIdsMakeNoOtherClasses) {
  const Bytes ids = BytesOf<int64_t>({30000, 17});
  EXPECT_THAT(ClassesOf("<i8", ids), ElementsAre("30000", "17"));
  const auto dataset = Open(dir_ / "d.npz");
  EXPECT_THAT(dataset->class_names(), ElementsAre("17", "30000"));
  EXPECT_THAT(dataset->notes(), Contains("classes are the labels that occur: 2 from 17 to 30000"));
  EXPECT_THAT(ClassesOf("<i8", BytesOf<int64_t>({int64_t{1} << 40, 9})),
              ElementsAre("1099511627776", "9"));
  EXPECT_THAT(ClassesOf("<u8", BytesOf<int64_t>({1, 2})), ElementsAre("1", "2"));
}

TEST_F(NpzLabelsTest, TakeTheNamesOfTheirIndices) {
  ASSERT_EQ(ErrorForLabels("|u1", {0, 2}), "");
  DatasetOptions options;
  options.class_names = {"shirt", "bag", "boot"};
  const auto dataset = Open(dir_ / "d.npz", options);
  EXPECT_THAT(dataset->class_names(), ElementsAre("shirt", "bag", "boot"));
  EXPECT_EQ(dataset->samples()[0].label, 0);
  EXPECT_EQ(dataset->samples()[1].label, 2);
  options.class_names = {"shirt", "bag"};
  EXPECT_THAT(ErrorOf(dir_ / "d.npz", options),
              HasSubstr("too few class names (got 2, want at least 3)"));
  options.class_names = {"shirt", "bag", "bag"};
  EXPECT_THAT(ErrorOf(dir_ / "d.npz", options), HasSubstr("a class name twice (got \"bag\""));
}

TEST_F(NpzLabelsTest, MayBeTexts) {
  const Bytes wide = BytesOf<uint32_t>({'r', 'e', 'd', 0, 0x4e2d, 0x1f34e, 0, 0});
  EXPECT_THAT(ClassesOf("<U4", wide), ElementsAre("red", "\u4e2d\U0001F34E"));
  EXPECT_THAT(ClassesOf(">U4", Reversed(wide, 4)), ElementsAre("red", "\u4e2d\U0001F34E"));
  EXPECT_THAT(ClassesOf("|S3", {'a', ' ', 0, 0xe9, 0, 0}), ElementsAre("a", "\\xE9"));
  EXPECT_THAT(Open(dir_ / "d.npz")->notes(), Contains("took off the space around 1 labels"));
  EXPECT_THAT(ErrorForLabels("|S1", {'a', ' '}),
              HasSubstr("bad label at index 1 (got an empty text"));
  EXPECT_THAT(ErrorForLabels("<U1", BytesOf<uint32_t>({'a', 0xd800})),
              HasSubstr("bad label at index 1 (got no Unicode"));
}

TEST_F(NpzLabelsTest, OfTextsThatAreNumbersAreOrderedByValue) {
  ClassesOf("|S2", {'1', '0', '9', 0});
  EXPECT_THAT(Open(dir_ / "d.npz")->class_names(), ElementsAre("9", "10"));
}

TEST_F(NpzLabelsTest, MayBeWholeNumbersInFloats) {
  EXPECT_THAT(ClassesOf("<f4", BytesOf<float>({3, 0})), ElementsAre("3", "0"));
  EXPECT_THAT(ClassesOf("<f8", BytesOf<double>({1, 70000})), ElementsAre("1", "70000"));
  EXPECT_THAT(ClassesOf("|b1", {1, 0}), ElementsAre("1", "0"));
  for (const double bad : {0.5, -1.0, double(NAN), double(INFINITY), 1e300}) {
    EXPECT_THAT(ErrorForLabels("<f8", BytesOf<double>({0, bad})),
                HasSubstr("bad type of labels (got <f8 with "))
        << bad;
  }
}

TEST_F(NpzLabelsTest, ThatArePicklesAreNeverRead) {
  EXPECT_THAT(ErrorForLabels("|O", Noise(40, 1)),
              HasSubstr("y.npy: an array of objects is a pickle, which is never read"));
  EXPECT_THAT(
      ErrorForArrays(x_, MakeNpy("<i8", "(2, 2)", Noise(32, 1))),
      HasSubstr("bad shape (got 2x2, want one label for each of 2 pictures: of one-hot rows "
                "y.argmax(1))"));
}

class NpzNamesTest : public NpzTest {
 protected:
  // Arrays of two pictures or labels under these names.
  std::string ErrorForNames(const std::vector<std::string>& names) {
    std::vector<ZipEntry> entries;
    for (const std::string& name : names) {
      const bool labels = name.find_first_of("yY") != std::string::npos ||
                          name.find("label") != std::string::npos ||
                          name.find("target") != std::string::npos;
      entries.push_back({name + ".npy", labels ? y_ : x_});
    }
    return ErrorFor(MakeZip(entries));
  }
  void ExpectSplits(const std::vector<std::string>& names, const std::string& train,
                    const std::string& val, const std::string& test) {
    ASSERT_EQ(ErrorForNames(names), "") << names[0];
    DatasetOptions options;
    options.val_fraction = 0;
    const auto dataset = Open(dir_ / "d.npz", options);
    const auto expect = [&](Split split, const std::string& array) {
      std::vector<std::string> want;
      if (!array.empty()) want = {array + ".npy[0]", array + ".npy[1]"};
      EXPECT_EQ(NamesIn(*dataset, split), want) << names[0];
    };
    expect(Split::kTrain, train);
    expect(Split::kVal, val);
    expect(Split::kTest, test);
  }
};

TEST_F(NpzNamesTest, OfASplitAreTakenInEveryUsualForm) {
  ExpectSplits({"x_train", "y_train", "x_test", "y_test"}, "x_train", "", "x_test");
  ExpectSplits({"X_train", "Y_train", "X_VALID", "Y_valid"}, "X_train", "X_VALID", "");
  ExpectSplits(
      {"train_images", "train_labels", "test_images", "test_labels", "dev_images", "dev_labels"},
      "train_images", "dev_images", "test_images");
  ExpectSplits({"training_x", "training_y", "Xtest", "ytest"}, "training_x", "", "Xtest");
  ExpectSplits({"images_train", "targets_train", "images_testing", "targets_testing"},
               "images_train", "", "images_testing");
}

TEST_F(NpzNamesTest, WithoutASplitAreTheTrainingPicturesBesideATest) {
  ExpectSplits({"x", "y", "x_test", "y_test"}, "x", "", "x_test");
  ExpectSplits({"X", "Y", "X_val", "Y_val"}, "X", "X_val", "");
  ExpectSplits({"images", "labels", "test_images", "test_labels"}, "images", "", "test_images");
}

TEST_F(NpzNamesTest, ThatAreNotTakenAreSaid) {
  ExpectSplits({"x", "y", "x_train", "y_train", "x_test", "y_test"}, "x_train", "", "x_test");
  EXPECT_THAT(Open(dir_ / "d.npz")->notes(), Contains("left out the arrays x.npy, y.npy"));
  ExpectSplits({"x", "y", "images", "y_val", "x_test", "y_test"}, "x", "", "x_test");
  EXPECT_THAT(Open(dir_ / "d.npz")->notes(), Contains("left out the arrays images.npy, y_val.npy"));
}

TEST_F(NpzNamesTest, ThatMeanTheSameTwiceAreRefused) {
  EXPECT_THAT(ErrorForNames({"x", "X", "y"}),
              HasSubstr("two arrays for the same (got x.npy and X.npy"));
  EXPECT_THAT(ErrorForNames({"x_val", "x_valid", "y_val"}),
              HasSubstr("two arrays for the same (got x_val.npy and x_valid.npy"));
  EXPECT_THAT(ErrorForNames({"arr_0", "arr_1"}),
              HasSubstr("no pictures (got arrays arr_0.npy, arr_1.npy; want x and y"));
  EXPECT_THAT(ErrorForNames({"x", "y", "x_test"}),
              HasSubstr("no labels for x_test.npy (want y_test)"));
}
}  // namespace
}  // namespace pocketune::data
