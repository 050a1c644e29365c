#include "apps/data/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "tests/apps/data/data_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::HasSubstr;

absl::Status Decode(const Bytes& bytes, Image* out, const DecodeHint& hint = {}) {
  return DecodeImageBytes(bytes, "a.jpg", hint, out);
}

int MaxDifference(const Image& a, const Image& b) {
  int worst = a.pixels.size() == b.pixels.size() ? 0 : 256;
  for (size_t i = 0; i < a.pixels.size() && worst < 256; ++i) {
    worst = std::max(worst, std::abs(int(a.pixels[i]) - int(b.pixels[i])));
  }
  return worst;
}

TEST(ImageTest, DecodesColourAndGreyJpegs) {
  for (int channels : {1, 3}) {
    for (JpegScans scans : {JpegScans::kBaseline, JpegScans::kProgressive}) {
      const Image image = MakeImage(37, 53, channels, 1);
      Image got;
      ASSERT_TRUE(Decode(EncodeJpeg(image, scans), &got).ok());
      EXPECT_EQ(got.height, 37);
      EXPECT_EQ(got.width, 53);
      EXPECT_EQ(got.channels, channels);
      int64_t sum = 0;
      for (size_t i = 0; i < got.pixels.size(); ++i) {
        sum += std::abs(int(got.pixels[i]) - int(image.pixels[i]));
      }
      EXPECT_LT(double(sum) / double(got.pixels.size()), 6.0);
    }
  }
}

TEST(ImageTest, DecodesAJpegSmallerWhereTheReaderNeedsLess) {
  const Bytes jpeg = EncodeJpeg(MakeImage(97, 131, 3, 1));
  Image got;
  ASSERT_TRUE(Decode(jpeg, &got, {24, 20}).ok());
  EXPECT_EQ(got.height, 25);  // ceil(97 / 4)
  EXPECT_EQ(got.width, 33);
  ASSERT_TRUE(Decode(jpeg, &got, {90, 20}).ok());
  EXPECT_EQ(got.height, 97);
}

TEST(ImageTest, DecodesEveryKindOfPng) {
  const Image rgb = MakeImage(7, 5, 3, 2), grey = MakeImage(7, 5, 1, 2);
  Image got;
  for (int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
    ASSERT_TRUE(Decode(EncodePng(rgb, interlace), &got).ok());
    EXPECT_EQ(MaxDifference(got, rgb), 0);
    ASSERT_TRUE(Decode(EncodePng(grey, interlace), &got).ok());
    EXPECT_EQ(got.channels, 1);
    EXPECT_EQ(MaxDifference(got, grey), 0);
  }
  Bytes wide, with_alpha;
  for (uint8_t v : grey.pixels) wide.insert(wide.end(), {v, v});
  ASSERT_TRUE(Decode(EncodePngRows(7, 5, PNG_COLOR_TYPE_GRAY, 16, 0, wide), &got).ok());
  EXPECT_EQ(MaxDifference(got, grey), 0);
  for (size_t i = 0; i < rgb.pixels.size(); i += 3) {
    with_alpha.insert(with_alpha.end(),
                      {rgb.pixels[i], rgb.pixels[i + 1], rgb.pixels[i + 2], uint8_t(i)});
  }
  ASSERT_TRUE(Decode(EncodePngRows(7, 5, PNG_COLOR_TYPE_RGB_ALPHA, 8, 0, with_alpha), &got).ok());
  EXPECT_EQ(MaxDifference(got, rgb), 0);
}

TEST(ImageTest, ExpandsAPaletteAndSingleBits) {
  Image got;
  const std::vector<png_color> palette = {{1, 2, 3}, {40, 50, 60}};
  // Two rows of three pixels, one bit each: 0 1 0 and 1 1 0.
  const Bytes rows = {0x40, 0xc0};
  ASSERT_TRUE(Decode(EncodePngRows(2, 3, PNG_COLOR_TYPE_PALETTE, 1, 0, rows, palette), &got).ok());
  EXPECT_EQ(got.pixels, (Bytes{1, 2, 3, 40, 50, 60, 1, 2, 3, 40, 50, 60, 40, 50, 60, 1, 2, 3}));
  ASSERT_TRUE(Decode(EncodePngRows(2, 3, PNG_COLOR_TYPE_GRAY, 1, 0, rows), &got).ok());
  EXPECT_EQ(got.pixels, (Bytes{0, 255, 0, 255, 255, 0}));
}

TEST(ImageTest, RefusesEmptyAndUnknownBytesByName) {
  Image got;
  const absl::Status empty = Decode({}, &got);
  EXPECT_EQ(empty.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(empty.message(), "a.jpg: empty file (got 0 bytes, want JPEG, PNG, WebP, HEIC or AVIF)");
  EXPECT_THAT(
      std::string(Decode({'G', 'I', 'F', '8', '9'}, &got).message()),
      HasSubstr("GIF pictures are not decoded (got bytes 47 49 46 38, want JPEG, PNG, WebP, "
                "HEIC or AVIF; convert it)"));
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Bytes bytes = Noise(500, seed);
    EXPECT_FALSE(Decode(bytes, &got).ok());
    const Bytes jpeg = {0xff, 0xd8, 0xff}, png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    std::copy(jpeg.begin(), jpeg.end(), bytes.begin());
    EXPECT_FALSE(Decode(bytes, &got).ok());
    std::copy(png.begin(), png.end(), bytes.begin());
    EXPECT_FALSE(Decode(bytes, &got).ok());
  }
}

TEST(ImageTest, RefusesATruncatedJpegAtEveryLength) {
  for (JpegScans scans : {JpegScans::kBaseline, JpegScans::kProgressive}) {
    const Bytes jpeg = EncodeJpeg(MakeImage(61, 67, 3, 5), scans);
    ASSERT_GT(jpeg.size(), 1000u);
    for (size_t n = 0; n < jpeg.size(); n += 50) {
      Image got;
      EXPECT_EQ(Decode({jpeg.begin(), jpeg.begin() + int64_t(n)}, &got).code(),
                absl::StatusCode::kDataLoss)
          << n << " of " << jpeg.size() << " bytes";
    }
  }
}

TEST(ImageTest, SurvivesAnyFlippedBitOfAJpeg) {
  const Bytes jpeg = EncodeJpeg(MakeImage(17, 19, 3, 5));
  for (size_t bit = 0; bit < 8 * jpeg.size(); bit += 7) {
    Bytes flipped = jpeg;
    flipped[bit / 8] ^= uint8_t(1 << (bit % 8));
    Image got;
    // A flip inside the entropy-coded data may still be a picture: it must only be a whole one.
    if (Decode(flipped, &got).ok()) {
      EXPECT_EQ(got.pixels.size(), size_t(got.height) * got.width * got.channels);
    }
  }
}

TEST(ImageTest, NeverTakesAFlippedBitForAnotherPngPicture) {
  const Image image = MakeImage(17, 19, 3, 5);
  const Bytes png = EncodePng(image);
  int refused = 0;
  for (size_t bit = 0; bit < 8 * png.size(); bit += 3) {
    Bytes flipped = png;
    flipped[bit / 8] ^= uint8_t(1 << (bit % 8));
    Image got;
    if (Decode(flipped, &got).ok()) {
      EXPECT_EQ(MaxDifference(got, image), 0) << "bit " << bit;
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  for (size_t n = 0; n < png.size(); n += 5) {
    Image got;
    EXPECT_FALSE(Decode({png.begin(), png.begin() + int64_t(n)}, &got).ok()) << n;
  }
}

TEST(ImageTest, RefusesHugeDimensionsBeforeAllocating) {
  for (int side : {65500, 9000, 8000}) {
    Bytes jpeg = EncodeJpeg(MakeImage(8, 8, 3, 5));
    const Bytes marker = {0xff, 0xc0};  // then length, depth, height, width
    const auto frame = std::search(jpeg.begin(), jpeg.end(), marker.begin(), marker.end());
    for (int i : {5, 7}) {
      frame[i] = uint8_t(side >> 8);
      frame[i + 1] = uint8_t(side & 0xff);
    }
    Image got;
    EXPECT_THAT(std::string(Decode(jpeg, &got).message()),
                HasSubstr("more pixels than the file can hold"));
    EXPECT_TRUE(got.pixels.empty());
  }

  // 8000 x 8000 grey pixels are allowed, but not in a file of a hundred bytes.
  Bytes png = EncodePng(MakeImage(8, 8, 1, 5));
  for (size_t at : {16u, 20u}) {
    png[at + 2] = 8000 >> 8;
    png[at + 3] = 8000 & 0xff;
  }
  const uint32_t crc = uint32_t(crc32_z(0, png.data() + 12, 17));
  for (int i = 0; i < 4; ++i) png[29 + i] = uint8_t(crc >> (24 - 8 * i));
  Image got;
  EXPECT_THAT(std::string(Decode(png, &got).message()),
              HasSubstr("more pixels than the file can hold"));
  EXPECT_TRUE(got.pixels.empty());
}

TEST(ImageTest, RefusesAJpegOfTooManyScans) {
  Image got;
  EXPECT_THAT(
      std::string(Decode(EncodeJpeg(MakeImage(16, 16, 3, 1), JpegScans::kOnePerCoefficient), &got)
                      .message()),
      HasSubstr("more than 100 scans"));
  EXPECT_TRUE(
      Decode(EncodeJpeg(MakeImage(16, 16, 1, 1), JpegScans::kOnePerCoefficient), &got).ok());
}

TEST(ImageTest, KeepsAnErrorOnOneLine) {
  Image got;
  EXPECT_EQ(DecodeImageBytes({}, "two\nlines.jpg", {}, &got).message(),
            "two\\nlines.jpg: empty file (got 0 bytes, want JPEG, PNG, WebP, HEIC or AVIF)");
}

TEST(ImageTest, TellsAMissingFileFromABadOne) {
  const TempDir dir;
  Image got;
  EXPECT_TRUE(absl::IsNotFound(DecodeImageFile(dir / "none.jpg", {}, &got)));
  WriteFile(dir / "zero.jpg", Bytes{});
  EXPECT_TRUE(absl::IsDataLoss(DecodeImageFile(dir / "zero.jpg", {}, &got)));
  // Content decides, not the name.
  WriteFile(dir / "png_as.jpg", EncodePng(MakeImage(5, 3, 3, 0)));
  EXPECT_TRUE(DecodeImageFile(dir / "png_as.jpg", {}, &got).ok());
}

}  // namespace
}  // namespace pocketune::data
