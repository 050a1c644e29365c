#include "apps/data/decode_bytes.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <string>

#include "engine/base/resident_memory.h"
#include "tests/apps/data/data_test_util.h"
#include "tests/support/sanitized.h"

namespace pocketune::data {
namespace {

constexpr int64_t kMB = 1000000;

Transform SquareOf(int side) {
  return *Transform::Create({.height = side, .width = side, .channels = 3});
}

// What this process has more at most while it decodes and resizes the file.
int64_t MeasuredBytes(const std::string& path, const Transform& transform) {
  mallopt(M_MMAP_THRESHOLD, 64 << 10);  // what is freed is gone
  malloc_trim(0);
  Bytes prepared(size_t(transform.elems()));  // the caller's own
  RestartResidentPeak();
  const int64_t before = ResidentBytes();
  Image image;
  TransformScratch scratch;
  EXPECT_TRUE(DecodeImageFile(path, transform.decode_hint(), &image).ok());
  transform.Prepare(image, &scratch, prepared);
  return PeakResidentBytes() - before;
}

struct Case {
  const char* name;
  Bytes bytes;
};

std::vector<Case> LargePictures() {
  const Image colour = MakeImage(2111, 3001, 3, 1), grey = MakeImage(2111, 3001, 1, 2);
  return {{"jpeg", EncodeJpeg(colour)},
          {"progressive jpeg", EncodeJpeg(colour, JpegScans::kProgressive)},
          {"grey progressive jpeg", EncodeJpeg(grey, JpegScans::kProgressive)},
          {"grey jpeg", EncodeJpeg(grey)},
          {"png", EncodePng(colour)},
          {"grey png", EncodePng(grey)}};
}

TEST(DecodeBytesTest, NoPictureTakesMoreThanIsStatedAndFewMuchLess) {
#ifdef PT_SANITIZED
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  const TempDir folder;
  const std::string path = folder / "picture";
  for (const Case& picture : LargePictures()) {
    WriteFile(path, picture.bytes);
    for (const int side : {32, 1024, 4096}) {
      SCOPED_TRACE(picture.name + std::string(" for ") + std::to_string(side));
      const Transform transform = SquareOf(side);
      const int64_t stated = DecodeBytes(path, transform);
      const int64_t measured = MeasuredBytes(path, transform);
      EXPECT_LE(measured, stated + kMB);
      EXPECT_GE(measured, stated / 3);
    }
  }
}

TEST(DecodeBytesTest, AScaledJpegTakesLessThanAPngOfItsSize) {
  const TempDir folder;
  const Image image = MakeImage(1500, 2000, 3, 1);
  WriteFile(folder / "a.jpg", EncodeJpeg(image));
  WriteFile(folder / "a.png", EncodePng(image));
  const Transform transform = SquareOf(64);
  EXPECT_LT(DecodeBytes(folder / "a.jpg", transform), 3 * kMB);
  EXPECT_GT(DecodeBytes(folder / "a.png", transform), 1500 * 2000 * 3);
}

TEST(DecodeBytesTest, TheFrameOfAJpegIsFoundBehindLongComments) {
  const TempDir folder;
  Bytes jpeg = EncodeJpeg(MakeImage(803, 607, 3, 1));
  const int64_t plain_size = int64_t(jpeg.size());
  WriteFile(folder / "plain.jpg", jpeg);
  Bytes comment = {0xff, 0xfe, 0xff, 0xff};
  comment.resize(2 + 0xffff, 0x20);
  for (int i = 0; i < 3; ++i) jpeg.insert(jpeg.begin() + 2, comment.begin(), comment.end());
  WriteFile(folder / "long.jpg", jpeg);
  const Transform transform = SquareOf(640);
  EXPECT_EQ(DecodeBytes(folder / "long.jpg", transform) - int64_t(jpeg.size()),
            DecodeBytes(folder / "plain.jpg", transform) - plain_size);
}

TEST(DecodeBytesTest, FilesThatAreNoPicturesTakeWhatTheirLengthSuggests) {
  const TempDir folder;
  const Transform transform = SquareOf(32);
  WriteFile(folder / "empty", Bytes());
  WriteFile(folder / "jpeg", Bytes{0xff, 0xd8});
  WriteFile(folder / "cut.jpg", Bytes(1000, 0xff));
  WriteFile(folder / "text", Bytes(40000, 'x'));
  for (const char* name : {"empty", "jpeg", "cut.jpg", "absent"}) {
    EXPECT_LT(DecodeBytes(folder / name, transform), kMB) << name;
  }
  EXPECT_GT(DecodeBytes(folder / "text", transform), kMB);
}

TEST(DecodeBytesTest, TheLargestPictureOfAnySplitCounts) {
  const TempDir folder;
  const Bytes small = EncodePng(MakeImage(32, 32, 3, 1));
  for (const char* name : {"train/a/1.png", "train/b/1.png", "test/a/1.png"}) {
    WriteFile(folder / name, small);
  }
  WriteFile(folder / "test/b/1.png", EncodePng(MakeImage(1000, 1000, 3, 1)));
  const auto dataset = OpenDataset(folder.path(), {});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const Transform transform = SquareOf(32);
  EXPECT_EQ(LargestDecodeBytes(**dataset, transform),
            DecodeBytes(folder / "test/b/1.png", transform));
}

}  // namespace
}  // namespace pocketune::data
