#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "apps/data/image.h"
#include "tests/apps/data/data_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::HasSubstr;

absl::Status Decode(const Bytes& bytes, Image* out) {
  return DecodeImageBytes(bytes, "a.jpg", {}, out);
}

// One picture of an animation at (x, y), which are even, shown for 100 ms.
Bytes AnimationFrame(const Image& image, int x, int y) {
  Bytes data;
  for (int number : {x / 2, y / 2, image.width - 1, image.height - 1, 100}) {
    AppendLittle(uint64_t(number), 3, &data);
  }
  data.push_back(0);
  const Bytes pixels = PixelsOfWebp(EncodeWebp(image));
  data.insert(data.end(), pixels.begin(), pixels.end());
  return RiffChunk("ANMF", data);
}

Bytes Animation(int height, int width, const std::vector<Bytes>& frames) {
  std::vector<Bytes> chunks = {WebpHeader(2, width, height),
                               RiffChunk("ANIM", {255, 255, 255, 255, 0, 0})};
  chunks.insert(chunks.end(), frames.begin(), frames.end());
  return MakeWebp(chunks);
}

TEST(ImageWebpTest, DecodesALosslessPictureExactly) {
  const Image image = MakeImage(7, 5, 3, 2);
  Image got;
  ASSERT_TRUE(Decode(EncodeWebp(image), &got).ok());
  EXPECT_EQ(got.height, 7);
  EXPECT_EQ(got.width, 5);
  EXPECT_EQ(got.channels, 3);
  EXPECT_EQ(got.pixels, image.pixels);
}

TEST(ImageWebpTest, DecodesALossyPicture) {
  const Image image = MakeImage(37, 53, 3, 2);
  Image got;
  ASSERT_TRUE(Decode(EncodeWebp(image, 90), &got).ok());
  ASSERT_EQ(got.pixels.size(), image.pixels.size());
  int64_t sum = 0;
  for (size_t i = 0; i < got.pixels.size(); ++i) {
    sum += std::abs(int(got.pixels[i]) - int(image.pixels[i]));
  }
  EXPECT_LT(double(sum) / double(got.pixels.size()), 12.0);
}

TEST(ImageWebpTest, DropsAlpha) {
  const Image image = MakeImage(7, 5, 4, 2);
  for (float quality : {100.0f, 95.0f}) {
    Image got;
    ASSERT_TRUE(Decode(EncodeWebp(image, quality), &got).ok());
    EXPECT_EQ(got.channels, 3);
    EXPECT_EQ(got.pixels.size(), 7u * 5 * 3);
  }
}

TEST(ImageWebpTest, TakesTheFirstPictureOfAnAnimationInItsPlace) {
  const Image first = MakeImage(6, 4, 3, 1), second = MakeImage(8, 10, 3, 5);
  Image got;
  ASSERT_TRUE(
      Decode(Animation(8, 10, {AnimationFrame(second, 0, 0), AnimationFrame(first, 0, 0)}), &got)
          .ok());
  EXPECT_EQ(got.pixels, second.pixels);
  ASSERT_TRUE(
      Decode(Animation(8, 10, {AnimationFrame(first, 4, 2), AnimationFrame(second, 0, 0)}), &got)
          .ok());
  ASSERT_EQ(got.height, 8);
  ASSERT_EQ(got.width, 10);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 10; ++x) {
      const bool inside = y >= 2 && x >= 4 && x < 8;
      const int want = inside ? first.pixels[((y - 2) * 4 + x - 4) * 3] : 0;
      EXPECT_EQ(got.pixels[(y * 10 + x) * 3], want) << y << ", " << x;
    }
  }
}

TEST(ImageWebpTest, RefusesATruncatedFileAtEveryLength) {
  for (float quality : {100.0f, 80.0f}) {
    const Bytes webp = EncodeWebp(MakeImage(37, 53, 3, 2), quality);
    for (size_t n = 0; n < webp.size(); n += 11) {
      Image got;
      EXPECT_EQ(Decode({webp.begin(), webp.begin() + long(n)}, &got).code(),
                absl::StatusCode::kDataLoss)
          << n << " of " << webp.size() << " bytes";
    }
  }
}

TEST(ImageWebpTest, SurvivesAnyFlippedBit) {
  const Image image = MakeImage(6, 4, 3, 1);
  for (const Bytes& webp : {EncodeWebp(image), EncodeWebp(image, 80),
                            Animation(8, 10, {AnimationFrame(image, 4, 2)})}) {
    for (size_t bit = 0; bit < 8 * webp.size(); ++bit) {
      Bytes flipped = webp;
      flipped[bit / 8] ^= uint8_t(1 << (bit % 8));
      Image got;
      if (Decode(flipped, &got).ok()) {
        EXPECT_EQ(got.pixels.size(), size_t(got.height) * got.width * 3);
      }
    }
  }
}

TEST(ImageWebpTest, RefusesMoreThan64MegapixelsBeforeAllocating) {
  Image got;
  const Bytes webp = Animation(9000, 9000, {AnimationFrame(MakeImage(6, 4, 3, 1), 0, 0)});
  EXPECT_THAT(std::string(Decode(webp, &got).message()), HasSubstr("more than 64 megapixels"));
  EXPECT_TRUE(got.pixels.empty());
}

}  // namespace
}  // namespace pocketune::data
