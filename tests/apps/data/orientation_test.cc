#include "apps/data/orientation.h"

#include <gtest/gtest.h>

#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/apps/data/data_test_util.h"

namespace pocketune::data {
namespace {

// Where pixel (y, x) of what is seen lies in the `height` x `width` pixels that are stored.
std::pair<int, int> StoredAt(int orientation, int y, int x, int height, int width) {
  switch (orientation) {
    case 2:
      return {y, width - 1 - x};
    case 3:
      return {height - 1 - y, width - 1 - x};
    case 4:
      return {height - 1 - y, x};
    case 5:
      return {x, y};
    case 6:
      return {height - 1 - x, y};
    case 7:
      return {height - 1 - x, width - 1 - y};
    case 8:
      return {x, width - 1 - y};
    default:
      return {y, x};
  }
}

Image Seen(const Image& stored, int orientation) {
  Image seen;
  const bool lies = orientation >= 5 && orientation <= 8;
  seen.Reset(lies ? stored.width : stored.height, lies ? stored.height : stored.width,
             stored.channels);
  for (int y = 0; y < seen.height; ++y) {
    for (int x = 0; x < seen.width; ++x) {
      const auto [sy, sx] = StoredAt(orientation, y, x, stored.height, stored.width);
      for (int k = 0; k < stored.channels; ++k) {
        seen.pixels[(size_t(y) * seen.width + x) * seen.channels + k] =
            stored.pixels[(size_t(sy) * stored.width + sx) * stored.channels + k];
      }
    }
  }
  return seen;
}

void ExpectSame(const Image& got, const Image& want) {
  EXPECT_EQ(got.height, want.height);
  EXPECT_EQ(got.width, want.width);
  EXPECT_EQ(got.channels, want.channels);
  EXPECT_EQ(got.pixels, want.pixels);
}

Image Decoded(const Bytes& bytes, const DecodeHint& hint = {}) {
  Image image;
  const absl::Status status = DecodeImageBytes(bytes, "a", hint, &image);
  EXPECT_TRUE(status.ok()) << status;
  return image;
}

class OrientationTest : public ::testing::TestWithParam<std::tuple<int, bool>> {
 protected:
  int orientation() const { return std::get<0>(GetParam()); }
  Bytes exif() const { return MakeExif(orientation(), std::get<1>(GetParam())); }
};

TEST_P(OrientationTest, TurnsPixelsOfAnySize) {
  for (const auto& [height, width] :
       {std::pair{7, 5}, std::pair{4, 6}, std::pair{1, 9}, std::pair{9, 1}, std::pair{1, 1}}) {
    for (int channels : {1, 3}) {
      const Image stored = MakeImage(height, width, channels, 3);
      Image turned = stored;
      Orient(orientation(), &turned);
      ExpectSame(turned, Seen(stored, orientation()));
    }
  }
}

TEST_P(OrientationTest, IsAppliedToAJpeg) {
  for (JpegScans scans : {JpegScans::kBaseline, JpegScans::kProgressive}) {
    const Bytes jpeg = EncodeJpeg(MakeImage(37, 53, 3, 1), scans);
    ExpectSame(Decoded(WithExif(jpeg, exif())), Seen(Decoded(jpeg), orientation()));
  }
}

TEST_P(OrientationTest, IsAppliedToAJpegThatIsDecodedSmaller) {
  // What is needed is meant as it is seen: lying down, 53 x 37 pixels become 20 x 24 at least.
  const Bytes jpeg = EncodeJpeg(MakeImage(97, 131, 3, 1));
  const bool lies = orientation() >= 5;
  const DecodeHint seen = lies ? DecodeHint{30, 24} : DecodeHint{24, 30};
  const Image want = Seen(Decoded(jpeg, {24, 30}), orientation());
  EXPECT_EQ(lies ? want.width : want.height, 25);
  ExpectSame(Decoded(WithExif(jpeg, exif()), seen), want);
}

TEST_P(OrientationTest, IsAppliedToAPngBeforeOrBehindItsPixels) {
  const Image stored = MakeImage(7, 5, 3, 2);
  const Bytes png = EncodePng(stored);
  const size_t behind_header = png.size() - 33;
  for (size_t from_end : {size_t{12}, behind_header}) {
    ExpectSame(Decoded(WithChunk(png, "eXIf", exif(), from_end)), Seen(stored, orientation()));
  }
}

TEST_P(OrientationTest, IsAppliedToAPngThatHoldsItAsText) {
  const Image stored = MakeImage(7, 5, 3, 2);
  std::string text = std::string("Raw profile type exif") + '\0' + "\nexif\n      32\n";
  absl::StrAppend(&text, absl::BytesToHexString(std::string("Exif\0\0", 6)), "\n");
  for (uint8_t b : exif()) absl::StrAppendFormat(&text, "%02X", b);
  ExpectSame(Decoded(WithChunk(EncodePng(stored), "tEXt", ToBytes(text))),
             Seen(stored, orientation()));
}

TEST_P(OrientationTest, IsAppliedToAWebp) {
  const Image stored = MakeImage(7, 5, 3, 2);
  Bytes with_prefix = {'E', 'x', 'i', 'f', 0, 0};
  const Bytes plain = exif();
  with_prefix.insert(with_prefix.end(), plain.begin(), plain.end());
  for (const Bytes& data : {plain, with_prefix}) {
    ExpectSame(Decoded(MakeWebp({WebpHeader(8, 5, 7), PixelsOfWebp(EncodeWebp(stored)),
                                 RiffChunk("EXIF", data)})),
               Seen(stored, orientation()));
  }
}

INSTANTIATE_TEST_SUITE_P(All, OrientationTest,
                         ::testing::Combine(::testing::Range(1, 9), ::testing::Bool()),
                         [](const auto& info) {
                           return std::to_string(std::get<0>(info.param)) +
                                  (std::get<1>(info.param) ? "OfABigEndian" : "OfALittleEndian");
                         });

TEST(ExifOrientationTest, FindsItAmongOtherEntriesAsShortLongOrByte) {
  for (uint8_t type : {1, 3, 4}) {
    Bytes exif = {'I', 'I', '*', 0, 10, 0, 0, 0, 0xff, 0xff, 2, 0};
    const Bytes make = {0x0f, 1, 2, 0, 1, 0, 0, 0, 'x', 0, 0, 0};
    const Bytes turn = {0x12, 1, type, 0, 1, 0, 0, 0, 6, 0, 0, 0};
    exif.insert(exif.end(), make.begin(), make.end());
    exif.insert(exif.end(), turn.begin(), turn.end());
    EXPECT_EQ(ExifOrientation(exif), 6) << int(type);
  }
}

TEST(ExifOrientationTest, TakesNothingFromDamagedData) {
  const Bytes good = MakeExif(6, true);
  EXPECT_EQ(ExifOrientation(good), 6);
  for (size_t n = 0; n < 20; ++n) EXPECT_EQ(ExifOrientation({good.data(), n}), std::nullopt) << n;
  for (int value : {0, 9, 255}) EXPECT_EQ(ExifOrientation(MakeExif(value, true)), std::nullopt);
  Bytes far = good, many = good, two = good, text = good, unknown = good;
  far[4] = 0xff;  // the directory lies outside
  EXPECT_EQ(ExifOrientation(far), std::nullopt);
  many[8] = 0xff;  // more entries than there is room for, of which the first is the one
  EXPECT_EQ(ExifOrientation(many), 6);
  two[17] = 2;  // two numbers, which lie elsewhere
  EXPECT_EQ(ExifOrientation(two), std::nullopt);
  text[13] = 2;
  EXPECT_EQ(ExifOrientation(text), std::nullopt);
  unknown[0] = 'X';
  EXPECT_EQ(ExifOrientation(unknown), std::nullopt);
}

TEST(ExifOrientationTest, LeavesAJpegAsItIsWhereTheDataAreDamaged) {
  const Bytes jpeg = EncodeJpeg(MakeImage(37, 53, 3, 1));
  for (size_t n : {0, 3, 8, 12, 19}) {
    Bytes exif = MakeExif(6, false);
    exif.resize(n);
    ExpectSame(Decoded(WithExif(jpeg, exif)), Decoded(jpeg));
  }
  const Bytes xmp = {'<', 'x', '>'};
  ExpectSame(Decoded(WithSegment(jpeg, 0xe1, "http://ns.adobe.com/xap/1.0/", xmp)), Decoded(jpeg));
}

TEST(ExifOrientationTest, IsFoundBehindAnotherSegmentOfItsKind) {
  const Bytes jpeg = EncodeJpeg(MakeImage(37, 53, 3, 1));
  const Bytes xmp(60000, ' ');
  const Bytes both = WithSegment(WithExif(jpeg, MakeExif(8, true)), 0xe1, "http://ns", xmp);
  ExpectSame(Decoded(both), Seen(Decoded(jpeg), 8));
}

}  // namespace
}  // namespace pocketune::data
