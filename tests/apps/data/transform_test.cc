#include "apps/data/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/apps/data/data_test_util.h"

namespace pocketune::data {
namespace {

using ::testing::HasSubstr;

TransformOptions Size(int height, int width, int channels) {
  TransformOptions options;
  options.height = height;
  options.width = width;
  options.channels = channels;
  return options;
}

std::vector<float> Apply(const TransformOptions& options, const Image& image, bool augment = false,
                         int64_t epoch = 0, int64_t sample = 0) {
  const absl::StatusOr<Transform> transform = Transform::Create(options);
  EXPECT_TRUE(transform.ok()) << transform.status();
  TransformScratch scratch;
  Bytes prepared(transform->elems());
  transform->Prepare(image, &scratch, prepared);
  std::vector<float> out(transform->elems());
  transform->Finish(prepared, augment ? transform->Draw(1, epoch, sample) : Augmentation(), out);
  return out;
}

// torchvision's definition, written independently: half-pixel centres, clamped, two taps per axis.
double BilinearAt(const Image& in, int out_h, int out_w, int y, int x, int c) {
  const double sy = std::max(0.0, (y + 0.5) * in.height / out_h - 0.5);
  const double sx = std::max(0.0, (x + 0.5) * in.width / out_w - 0.5);
  const int y0 = int(sy), x0 = int(sx);
  const int y1 = std::min(y0 + 1, in.height - 1), x1 = std::min(x0 + 1, in.width - 1);
  const auto at = [&](int yy, int xx) {
    return double(in.pixels[(size_t(yy) * in.width + xx) * in.channels + c]);
  };
  const double fy = sy - y0, fx = sx - x0;
  return (1 - fy) * ((1 - fx) * at(y0, x0) + fx * at(y0, x1)) +
         fy * ((1 - fx) * at(y1, x0) + fx * at(y1, x1));
}

TEST(TransformTest, ResizesAsBilinearWithoutAntialiasingBelowTwice) {
  Image in;
  in.Reset(17, 23, 3);
  in.pixels = Noise(in.pixels.size(), 3);
  for (const auto& [h, w] : {std::pair{11, 13}, {29, 31}, {17, 19}, {9, 47}, {1000, 12}}) {
    Image out;
    std::vector<float> rows;
    ResizeBilinear(in, h, w, &rows, &out);
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        for (int c = 0; c < 3; ++c) {
          const double want = BilinearAt(in, h, w, y, x, c);
          ASSERT_NEAR(out.pixels[(size_t(y) * w + x) * 3 + c], want, 0.501) << h << "x" << w;
        }
      }
    }
  }
}

TEST(TransformTest, AveragesAllPixelsWhereThePictureShrinksByTwoOrMore) {
  Image in;
  in.Reset(64, 64, 1);
  for (size_t i = 0; i < in.pixels.size(); ++i) in.pixels[i] = i % 8 == 0 ? 240 : 0;
  Image out;
  std::vector<float> rows;
  ResizeBilinear(in, 8, 8, &rows, &out);
  for (int y = 0; y < 8; ++y) {
    // 240 / 8 where the filter is not cut off by the border; bare bilinear would give 0.
    for (int x = 1; x < 7; ++x) EXPECT_EQ(out.pixels[y * 8 + x], 30);
  }
}

TEST(TransformTest, KeepsAPictureOfTheRightSize) {
  const Image in = MakeImage(5, 7, 3, 1);
  TransformOptions options = Size(5, 7, 3);
  options.normalization = *ParseNormalization("zero_one");
  const std::vector<float> out = Apply(options, in);
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], float(in.pixels[i] / 255.0));
}

TEST(TransformTest, ConvertsChannelsBothWays) {
  Image grey, rgb;
  grey.Reset(1, 2, 1);
  grey.pixels = {10, 200};
  rgb.Reset(1, 4, 3);
  rgb.pixels = {255, 0, 0, 0, 255, 0, 0, 0, 255, 90, 90, 90};
  TransformOptions options = Size(1, 2, 3);
  options.normalization = *ParseNormalization("0,0.00392156862745098");  // the pixel value itself
  EXPECT_THAT(Apply(options, grey), ::testing::Pointwise(::testing::FloatNear(1e-3f),
                                                         {10.f, 10.f, 10.f, 200.f, 200.f, 200.f}));
  options.width = 4;
  options.channels = 1;
  // 0.299, 0.587, 0.114 of 255.
  EXPECT_THAT(Apply(options, rgb),
              ::testing::Pointwise(::testing::FloatNear(1e-3f), {76.f, 150.f, 29.f, 90.f}));
}

TEST(TransformTest, NormalizesByPreset) {
  Image in;
  in.Reset(1, 1, 3);
  in.pixels = {0, 127, 255};
  TransformOptions options = Size(1, 1, 3);
  EXPECT_THAT(Apply(options, in),
              ::testing::ElementsAre(-1.f, ::testing::FloatEq(127 / 127.5f - 1), 1.f));
  options.normalization = *ParseNormalization("imagenet");
  EXPECT_THAT(Apply(options, in),
              ::testing::Pointwise(
                  ::testing::FloatNear(1e-6f),
                  {-0.485f / 0.229f, (127 / 255.f - 0.456f) / 0.224f, (1 - 0.406f) / 0.225f}));
  options.normalization = *ParseNormalization("mnist");
  EXPECT_NEAR(Apply(options, in)[2], (1 - 0.1307) / 0.3081, 1e-6);
}

TEST(TransformTest, RefusesBadOptionsInOneLine) {
  for (const char* text : {"", "imagnet", "0.5", "0.5,0", "0.5,-1", "nan,1", "1,2,3", "0.5,inf"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseNormalization(text).status())) << text;
  }
  for (const char* text : {"rotate45", "darken=0", "darken=1", "darken=x", "invert;darken"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParsePerturbation(text).status())) << text;
  }
  EXPECT_FALSE(Transform::Create(Size(0, 5, 3)).ok());
  EXPECT_FALSE(Transform::Create(Size(5, 8193, 3)).ok());
  EXPECT_FALSE(Transform::Create(Size(5, 5, 2)).ok());
  TransformOptions options = Size(5, 5, 1);
  options.normalization = *ParseNormalization("imagenet");
  EXPECT_THAT(std::string(Transform::Create(options).status().message()),
              HasSubstr("want 1 mean and 1 std"));
  options = Size(5, 5, 1);
  options.flip_probability = std::nanf("");
  EXPECT_FALSE(Transform::Create(options).ok());
}

TEST(TransformTest, SeesThroughAnotherCamera) {
  Image in;
  in.Reset(2, 3, 1);
  in.pixels = {1, 2, 3, 4, 5, 6};
  TransformOptions options = Size(3, 2, 1);
  options.normalization = *ParseNormalization("0,0.00392156862745098");
  const auto see = [&](const char* text) {
    options.perturbation = *ParsePerturbation(text);
    std::vector<int> rounded;
    for (float v : Apply(options, in)) rounded.push_back(int(std::lround(v)));
    return rounded;
  };
  EXPECT_THAT(see("rotate90"), ::testing::ElementsAre(4, 1, 5, 2, 6, 3));
  EXPECT_THAT(see("rotate270"), ::testing::ElementsAre(3, 6, 2, 5, 1, 4));
  options.height = 2;
  options.width = 3;
  EXPECT_THAT(see(""), ::testing::ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(see("rotate180"), ::testing::ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(see("rotate90,rotate90"), ::testing::ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(see("invert"), ::testing::ElementsAre(254, 253, 252, 251, 250, 249));
  EXPECT_THAT(see("invert,darken=0.5"), ::testing::ElementsAre(127, 127, 126, 126, 125, 125));
  EXPECT_THAT(see("darken=0.5,invert"), ::testing::ElementsAre(254, 254, 253, 253, 252, 252));
}

TEST(TransformTest, FlipsAboutAsOftenAsAskedAndTheSameEachTime) {
  Image in;
  in.Reset(1, 2, 1);
  in.pixels = {0, 255};
  TransformOptions options = Size(1, 2, 1);
  options.flip_probability = 0.3f;
  int flips = 0;
  for (int64_t sample = 0; sample < 1000; ++sample) {
    const std::vector<float> out = Apply(options, in, true, 2, sample);
    EXPECT_EQ(out, Apply(options, in, true, 2, sample));
    flips += out[0] > 0;
  }
  EXPECT_NEAR(flips, 300, 60);
  EXPECT_EQ(Apply(options, in, false)[0], -1.f);
}

TEST(TransformTest, CropsThePaddedPictureAtEveryOffset) {
  const Image in = MakeImage(5, 5, 1, 0);
  TransformOptions options = Size(5, 5, 1);
  options.crop_padding = 1;
  const std::vector<float> plain = Apply(options, in);
  std::array<int, 9> seen = {};
  for (int64_t sample = 0; sample < 300; ++sample) {
    const std::vector<float> out = Apply(options, in, true, 0, sample);
    int matches = 0;
    for (int dy = -1; dy <= 1; ++dy) {
      for (int dx = -1; dx <= 1; ++dx) {
        bool same = true;
        for (int y = 0; y < 5; ++y) {
          for (int x = 0; x < 5; ++x) {
            const bool inside = y + dy >= 0 && y + dy < 5 && x + dx >= 0 && x + dx < 5;
            same = same && out[y * 5 + x] == (inside ? plain[(y + dy) * 5 + x + dx] : -1.f);
          }
        }
        if (same) {
          ++matches;
          ++seen[(dy + 1) * 3 + dx + 1];
        }
      }
    }
    EXPECT_EQ(matches, 1);
  }
  for (int count : seen) EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace pocketune::data
