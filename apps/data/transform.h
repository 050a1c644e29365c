// From a decoded picture to the model's input: channels, size, camera, augmentation, normalization.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/data/image.h"

namespace pocketune::data {

// y = (px / 255 - mean) / std per channel, computed in double, rounded once to f32.
struct Normalization {
  std::array<double, 3> mean = {0.5, 0.5, 0.5};
  std::array<double, 3> std = {0.5, 0.5, 0.5};
  // How many of the numbers are meant: 1 (the same for every channel) or 3.
  int channels = 1;
};

// `minus_one_one` (px / 127.5 - 1), `zero_one` (px / 255), `imagenet` (torchvision's), `mnist`
// (0.1307 / 0.3081), or numbers: "mean,std" or "mean_r,mean_g,mean_b,std_r,std_g,std_b" in units of
// the full range. INVALID_ARGUMENT otherwise and for a std that is not positive.
absl::StatusOr<Normalization> ParseNormalization(const std::string& text);

// Another camera: how it differs from the one that took the training pictures. All samples of all
// splits go through it; nothing here is random.
struct Perturbation {
  // Pixel values through this table, before augmentation and normalization.
  std::array<uint8_t, 256> tone;
  // Clockwise turns by 90 degrees, 0 to 3.
  int quarter_turns = 0;

  Perturbation();  // the same camera
};

// Comma-separated, applied in order: `invert` (255 - px), `darken` or `darken=GAIN` (px * GAIN,
// rounded to nearest; 0 < GAIN < 1, default 0.4), `rotate90`, `rotate180`, `rotate270` (clockwise).
// "" is the same camera. INVALID_ARGUMENT otherwise.
absl::StatusOr<Perturbation> ParsePerturbation(const std::string& text);

struct TransformOptions {
  int height = 0;    // of the model's input, 1 to 8192
  int width = 0;     // likewise
  int channels = 3;  // 1 or 3
  Normalization normalization;
  Perturbation perturbation;
  // Augmentation, for training only: horizontal flip with this probability, and a crop of
  // [height, width] at a random place of the picture padded by this many black pixels on each side.
  float flip_probability = 0;
  int crop_padding = 0;
};

// Scratch of Transform::Prepare, one per thread; keeps its memory between calls.
struct TransformScratch {
  Image converted;
  Image resized;
  std::vector<float> rows;
};

// Resizes to [height, width] by the separable triangle filter with half-pixel centres: output i
// reads around (i + 0.5) * in / out. Its half-width is one input pixel, which is bilinear
// interpolation without antialiasing (torchvision's `antialias=False`, clamped at the border); an
// axis that shrinks by 2 or more takes in / out pixels instead (as `antialias=True` and Pillow),
// since bare bilinear would skip pixels there. f32 between the axes, rounded to nearest at the end.
void ResizeBilinear(const Image& in, int height, int width, std::vector<float>* rows, Image* out);

// What chance did to a picture. The default is evaluation's: nothing.
struct Augmentation {
  bool flip = false;
  int shift_y = 0;  // of the crop, in pixels
  int shift_x = 0;
};

// A fixed pipeline: grey <-> RGB (grey = 0.299 R + 0.587 G + 0.114 B), resize, tone, turn |
// random crop, random flip, normalize. The part before the bar depends on the sample alone and may
// be cached. Immutable, thread-safe.
class Transform {
 public:
  // INVALID_ARGUMENT for options out of range.
  static absl::StatusOr<Transform> Create(const TransformOptions& options);

  const TransformOptions& options() const { return options_; }
  int64_t elems() const { return int64_t{options_.height} * options_.width * options_.channels; }
  // The size that the pictures need at least to lose nothing.
  DecodeHint decode_hint() const;

  // First part: any picture to u8 [height, width, channels], elems() bytes at `out`.
  void Prepare(const Image& image, TransformScratch* scratch, std::span<uint8_t> out) const;
  // The random choices of training: a function of the options and of (seed, epoch, sample) alone.
  Augmentation Draw(uint64_t seed, int64_t epoch, int64_t sample) const;
  // Second part: elems() bytes to f32 [height, width, channels].
  void Finish(std::span<const uint8_t> prepared, const Augmentation& augmentation,
              std::span<float> out) const;

 private:
  explicit Transform(const TransformOptions& options);

  TransformOptions options_;
  // [channel][pixel value]
  std::array<std::array<float, 256>, 3> normalized_;
};

}  // namespace pocketune::data
