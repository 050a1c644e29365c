#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/data/dataset.h"
#include "tests/apps/data/dataset_test_util.h"

namespace pocketune::data {
namespace {

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
