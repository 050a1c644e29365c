#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "apps/data/image.h"
#include "tests/apps/data/data_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::HasSubstr;

absl::Status Decode(const Bytes& bytes, Image* out, const DecodeHint& hint = {}) {
  return DecodeImageBytes(bytes, "a.jpg", hint, out);
}

Bytes Pixels(const Bytes& jpeg) {
  Image got;
  const absl::Status status = Decode(jpeg, &got);
  EXPECT_TRUE(status.ok()) << status;
  return got.pixels;
}

Bytes WithBytesBeforeEnd(Bytes jpeg, const Bytes& extra) {
  jpeg.insert(jpeg.end() - 2, extra.begin(), extra.end());
  return jpeg;
}

size_t PositionOf(const Bytes& jpeg, uint8_t marker) {
  const Bytes wanted = {0xff, marker};
  return size_t(std::search(jpeg.begin(), jpeg.end(), wanted.begin(), wanted.end()) - jpeg.begin());
}

// Its frame (marker SOF0 or SOF2) says that it has these sides.
Bytes WithSides(Bytes jpeg, uint8_t frame, int height, int width) {
  const size_t at = PositionOf(jpeg, frame);
  for (const auto& [offset, side] : {std::pair{5, height}, std::pair{7, width}}) {
    jpeg[at + offset] = uint8_t(side >> 8);
    jpeg[at + offset + 1] = uint8_t(side);
  }
  return jpeg;
}

class JpegScansTest : public ::testing::TestWithParam<JpegScans> {};

TEST_P(JpegScansTest, BytesBeforeTheEndMarkerHarmNoPixel) {
  const Bytes jpeg = EncodeJpeg(MakeImage(61, 67, 3, 5), GetParam());
  const Bytes want = Pixels(jpeg);
  for (size_t n : {1, 16, 5000}) {
    EXPECT_EQ(Pixels(WithBytesBeforeEnd(jpeg, Bytes(n, 0))), want) << n;
    EXPECT_EQ(Pixels(WithBytesBeforeEnd(jpeg, Bytes(n, 0x55))), want) << n;
  }
  Bytes behind = jpeg;
  behind.resize(jpeg.size() + 100);
  EXPECT_EQ(Pixels(behind), want);
}

TEST_P(JpegScansTest, AMissingEndMarkerHarmsNoPixel) {
  const Bytes jpeg = EncodeJpeg(MakeImage(61, 67, 3, 5), GetParam());
  const Bytes want = Pixels(jpeg);
  for (long missing : {1, 2}) EXPECT_EQ(Pixels({jpeg.begin(), jpeg.end() - missing}), want);
}

TEST_P(JpegScansTest, RefusesAFileThatLacksDataAtEveryLength) {
  const Bytes jpeg = EncodeJpeg(MakeImage(61, 67, 3, 5), GetParam());
  for (size_t n = 0; n < jpeg.size() - 3; ++n) {
    Image got;
    EXPECT_EQ(Decode({jpeg.begin(), jpeg.begin() + long(n)}, &got).code(),
              absl::StatusCode::kDataLoss)
        << n << " of " << jpeg.size() << " bytes";
  }
}

TEST_P(JpegScansTest, RefusesAFileWhoseEndIsZeros) {
  Bytes jpeg = EncodeJpeg(MakeImage(61, 67, 3, 5), GetParam());
  std::fill(jpeg.begin() + long(jpeg.size() / 2), jpeg.end(), uint8_t{0});
  Image got;
  EXPECT_EQ(Decode(jpeg, &got).code(), absl::StatusCode::kDataLoss);
}

INSTANTIATE_TEST_SUITE_P(All, JpegScansTest,
                         ::testing::Values(JpegScans::kBaseline, JpegScans::kProgressive),
                         [](const auto& info) {
                           return info.param == JpegScans::kBaseline ? "Baseline" : "Progressive";
                         });

TEST(ImageJpegTest, OddNumbersInSegmentsHarmNoPixel) {
  const Bytes jpeg = EncodeJpeg(MakeImage(61, 67, 3, 5));
  const Bytes want = Pixels(jpeg);
  Bytes jfif = jpeg;
  jfif[PositionOf(jpeg, 0xe0) + 9] = 7;  // the major version
  EXPECT_EQ(Pixels(jfif), want);
  const Bytes adobe = {0, 100, 0, 0, 0, 0, 9};  // version, flags, an unknown transform
  EXPECT_EQ(Pixels(WithSegment(jpeg, 0xee, "Adobe", adobe)), want);
  const Bytes bad_profile = {9, 3, 1, 2, 3};  // part 9 of 3
  EXPECT_EQ(Pixels(WithSegment(jpeg, 0xe2, std::string("ICC_PROFILE\0", 12), bad_profile)), want);
}

TEST(ImageJpegTest, RefusesDamagedCodes) {
  Bytes jpeg = EncodeJpeg(MakeImage(61, 67, 3, 5));
  const size_t scan = PositionOf(jpeg, 0xda) + 14;
  for (size_t i = scan; i < jpeg.size() - 2; i += 2) jpeg[i] = 0xfe;
  Image got;
  EXPECT_THAT(std::string(Decode(jpeg, &got).message()), HasSubstr("bad JPEG"));
}

// The light that four components of Adobe's convention let through, as Pillow rounds it.
int Light(int ink_left, int black_left) {
  const int shadow = (255 - ink_left) * black_left + 128;
  return std::max(0, black_left - ((shadow + (shadow >> 8)) >> 8));
}

TEST(ImageJpegTest, DecodesCmykAndYcck) {
  const Image ink = MakeImage(37, 53, 4, 1);
  for (JpegColours colours : {JpegColours::kDefault, JpegColours::kYcck}) {
    Image got;
    ASSERT_TRUE(Decode(EncodeJpeg(ink, JpegScans::kBaseline, colours), &got).ok());
    ASSERT_EQ(got.height, 37);
    ASSERT_EQ(got.width, 53);
    ASSERT_EQ(got.channels, 3);
    int64_t sum = 0;
    for (size_t i = 0; i < size_t{37} * 53; ++i) {
      for (int k = 0; k < 3; ++k) {
        const int want = Light(ink.pixels[4 * i + k], ink.pixels[4 * i + 3]);
        sum += std::abs(int(got.pixels[3 * i + k]) - want);
      }
    }
    EXPECT_LT(double(sum) / double(got.pixels.size()), 6.0);
  }
}

TEST(ImageJpegTest, DecodesCmykSmallerAndTurned) {
  const Bytes jpeg = EncodeJpeg(MakeImage(97, 131, 4, 1));
  Image got;
  ASSERT_TRUE(Decode(WithExif(jpeg, MakeExif(6, true)), &got, {30, 24}).ok());
  EXPECT_EQ(got.height, 33);
  EXPECT_EQ(got.width, 25);
}

TEST(ImageJpegTest, DecodesMoreThan64MegapixelsAtReducedScale) {
  Image large;
  large.Reset(8200, 8210, 1);
  for (int y = 0; y < large.height; ++y) {
    std::fill_n(large.pixels.begin() + int64_t{y} * large.width, large.width,
                uint8_t(y < 4100 ? 50 : 200));
  }
  Image got;
  const absl::Status status = Decode(EncodeJpeg(large), &got);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(got.height, 4100);
  EXPECT_EQ(got.width, 4105);
  EXPECT_NEAR(got.pixels.front(), 50, 2);
  EXPECT_NEAR(got.pixels.back(), 200, 2);
}

TEST(ImageJpegTest, RefusesAProgressiveFileWhoseCoefficientsAreTooMany) {
  Bytes jpeg =
      WithSides(EncodeJpeg(MakeImage(16, 16, 3, 1), JpegScans::kProgressive), 0xc2, 20000, 20000);
  jpeg.resize(1 << 20);  // large enough to hold so many pixels
  Image got;
  EXPECT_THAT(std::string(Decode(jpeg, &got).message()),
              HasSubstr("its coefficients need more than 512 MiB"));
  EXPECT_TRUE(got.pixels.empty());
}

}  // namespace
}  // namespace pocketune::data
