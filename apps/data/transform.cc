#include "apps/data/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/base/rng.h"

namespace pocketune::data {
namespace {

constexpr int kMaxSide = 8192;
constexpr double kDefaultDarkenGain = 0.4;

absl::Status BadOption(const char* what, const std::string& got, const char* want) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": unknown value (got \"", got, "\", want ", want, ")"));
}

// A resized axis: output i is the sum of inputs [first[i], first[i] + count) times
// weights[i * count ...], which add up to 1.
struct Taps {
  int count;
  std::vector<int> first;
  std::vector<float> weights;
};

Taps MakeTaps(int in, int out) {
  const double scale = double(in) / out;
  const double support = scale >= 2 ? scale : 1;
  Taps taps;
  taps.count = std::min(in, int(std::ceil(2 * support)));
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale - 0.5;
    const int first = std::clamp(int(std::floor(center - support)) + 1, 0, in - taps.count);
    taps.first.push_back(first);
    double sum = 0;
    for (int j = first; j < first + taps.count; ++j) {
      sum += std::max(0.0, 1 - std::abs(j - center) / support);
    }
    for (int j = first; j < first + taps.count; ++j) {
      taps.weights.push_back(float(std::max(0.0, 1 - std::abs(j - center) / support) / sum));
    }
  }
  return taps;
}

void ConvertChannels(const Image& in, int channels, Image* out) {
  out->Reset(in.height, in.width, channels);
  const size_t n = size_t(in.height) * in.width;
  const uint8_t* src = in.pixels.data();
  uint8_t* dst = out->pixels.data();
  if (channels == 3) {
    for (size_t i = 0; i < n; ++i) std::memset(dst + 3 * i, src[i], 3);
    return;
  }
  // Pillow's 16-bit weights of ITU-R BT.601.
  for (size_t i = 0; i < n; ++i) {
    const uint8_t* p = src + 3 * i;
    dst[i] = uint8_t((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
  }
}

// Turns [height, width] clockwise into `out` and maps values by `tone`.
void TurnAndTone(const Image& in, const Perturbation& p, std::span<uint8_t> out) {
  const int turns = p.quarter_turns, c = in.channels;
  const int height = turns % 2 == 0 ? in.height : in.width;
  const int width = turns % 2 == 0 ? in.width : in.height;
  uint8_t* dst = out.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int sy = turns == 0 ? y : turns == 1 ? width - 1 - x : turns == 2 ? height - 1 - y : x;
      const int sx = turns == 0 ? x : turns == 1 ? y : turns == 2 ? width - 1 - x : height - 1 - y;
      const uint8_t* src = in.pixels.data() + (size_t(sy) * in.width + sx) * c;
      for (int k = 0; k < c; ++k) *dst++ = p.tone[src[k]];
    }
  }
}

}  // namespace

Perturbation::Perturbation() {
  for (int v = 0; v < 256; ++v) tone[v] = uint8_t(v);
}

absl::StatusOr<Normalization> ParseNormalization(const std::string& text) {
  if (text == "minus_one_one") return Normalization{};
  if (text == "zero_one") return Normalization{{0, 0, 0}, {1, 1, 1}, 1};
  if (text == "imagenet") return Normalization{{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, 3};
  if (text == "mnist") {
    return Normalization{{0.1307, 0.1307, 0.1307}, {0.3081, 0.3081, 0.3081}, 1};
  }
  const absl::Status error = BadOption("normalization", text,
                                       "minus_one_one, zero_one, imagenet, mnist, \"mean,std\" or "
                                       "3 means and 3 positive stds");
  std::vector<double> numbers;
  for (const auto& part : absl::StrSplit(text, ',')) {
    double number;
    if (!absl::SimpleAtod(part, &number) || !std::isfinite(number)) return error;
    numbers.push_back(number);
  }
  if (numbers.size() != 2 && numbers.size() != 6) return error;
  Normalization result;
  result.channels = int(numbers.size() / 2);
  for (int c = 0; c < 3; ++c) {
    const int i = std::min(c, result.channels - 1);
    result.mean[c] = numbers[i];
    result.std[c] = numbers[result.channels + i];
    if (!(result.std[c] > 0)) return error;
  }
  return result;
}

absl::StatusOr<Perturbation> ParsePerturbation(const std::string& text) {
  Perturbation result;
  const std::vector<std::string> parts = absl::StrSplit(text, ',', absl::SkipEmpty());
  for (const std::string& part : parts) {
    double gain = kDefaultDarkenGain;
    if (part == "invert") {
      for (uint8_t& v : result.tone) v = uint8_t(255 - v);
    } else if (part == "rotate90" || part == "rotate180" || part == "rotate270") {
      const int turns = part == "rotate90" ? 1 : part == "rotate180" ? 2 : 3;
      result.quarter_turns = (result.quarter_turns + turns) % 4;
    } else if (part == "darken" ||
               (part.rfind("darken=", 0) == 0 && absl::SimpleAtod(part.substr(7), &gain) &&
                gain > 0 && gain < 1)) {
      for (uint8_t& v : result.tone) v = uint8_t(std::lround(v * gain));
    } else {
      return BadOption("perturbation", part,
                       "invert, darken, darken=GAIN with 0 < GAIN < 1, rotate90, rotate180 or "
                       "rotate270");
    }
  }
  return result;
}

void ResizeBilinear(const Image& in, int height, int width, std::vector<float>* rows, Image* out) {
  const Taps across = MakeTaps(in.width, width), down = MakeTaps(in.height, height);
  const int c = in.channels;
  const size_t row = size_t(width) * c;
  rows->resize(row * (in.height + 1));
  float* dst = rows->data();
  for (int y = 0; y < in.height; ++y) {
    const uint8_t* src = in.pixels.data() + size_t(y) * in.width * c;
    for (int x = 0; x < width; ++x) {
      const float* weights = across.weights.data() + size_t(x) * across.count;
      for (int k = 0; k < c; ++k) {
        const uint8_t* p = src + size_t(across.first[x]) * c + k;
        float sum = 0;
        for (int j = 0; j < across.count; ++j) sum += weights[j] * p[j * c];
        *dst++ = sum;
      }
    }
  }
  // Row by row, so that the inner loop runs over neighbours; the sums stand behind the last row.
  out->Reset(height, width, c);
  float* sums = dst;
  for (int y = 0; y < height; ++y) {
    std::fill_n(sums, row, 0.5f);
    for (int j = 0; j < down.count; ++j) {
      const float weight = down.weights[size_t(y) * down.count + j];
      const float* p = rows->data() + (down.first[y] + j) * row;
      for (size_t x = 0; x < row; ++x) sums[x] += weight * p[x];
    }
    for (size_t x = 0; x < row; ++x) {
      out->pixels[y * row + x] = uint8_t(std::clamp(sums[x], 0.0f, 255.0f));
    }
  }
}

absl::StatusOr<Transform> Transform::Create(const TransformOptions& o) {
  const auto error = [](const char* what, double got, const char* want) {
    return absl::InvalidArgumentError(
        absl::StrCat("transform: bad ", what, " (got ", got, ", want ", want, ")"));
  };
  if (o.height < 1 || o.height > kMaxSide) return error("height", o.height, "1 to 8192");
  if (o.width < 1 || o.width > kMaxSide) return error("width", o.width, "1 to 8192");
  if (o.channels != 1 && o.channels != 3) return error("channels", o.channels, "1 or 3");
  if (o.normalization.channels > o.channels) {
    return error("normalization for a model with 1 input channel", 3, "1 mean and 1 std");
  }
  if (!(o.flip_probability >= 0 && o.flip_probability <= 1)) {
    return error("flip probability", o.flip_probability, "0 to 1");
  }
  if (o.crop_padding < 0 || o.crop_padding > kMaxSide) {
    return error("crop padding", o.crop_padding, "0 to 8192");
  }
  return Transform(o);
}

Transform::Transform(const TransformOptions& options) : options_(options) {
  const Normalization& n = options_.normalization;
  for (int c = 0; c < 3; ++c) {
    for (int v = 0; v < 256; ++v) {
      normalized_[c][v] = float((v / 255.0 - n.mean[c]) / n.std[c]);
    }
  }
}

DecodeHint Transform::decode_hint() const {
  const bool sideways = options_.perturbation.quarter_turns % 2 != 0;
  return sideways ? DecodeHint{options_.width, options_.height}
                  : DecodeHint{options_.height, options_.width};
}

void Transform::Prepare(const Image& image, TransformScratch* scratch,
                        std::span<uint8_t> out) const {
  const Image* current = &image;
  if (current->channels != options_.channels) {
    ConvertChannels(*current, options_.channels, &scratch->converted);
    current = &scratch->converted;
  }
  // Sizes before the turn: the turn is done last, on the small picture.
  const DecodeHint size = decode_hint();
  if (current->height != size.min_height || current->width != size.min_width) {
    ResizeBilinear(*current, size.min_height, size.min_width, &scratch->rows, &scratch->resized);
    current = &scratch->resized;
  }
  TurnAndTone(*current, options_.perturbation, out);
}

Augmentation Transform::Draw(uint64_t seed, int64_t epoch, int64_t sample) const {
  const int pad = options_.crop_padding;
  const RandomStream random(seed ^ HashName("augment"), uint64_t(epoch) << 32 | uint64_t(sample));
  return {.flip = random.Uniform(0) < options_.flip_probability,
          .shift_y = int(random.Below(1, 2 * pad + 1)) - pad,
          .shift_x = int(random.Below(2, 2 * pad + 1)) - pad};
}

void Transform::Finish(std::span<const uint8_t> prepared, const Augmentation& augmentation,
                       std::span<float> out) const {
  const int height = options_.height, width = options_.width, c = options_.channels;
  const auto [flip, shift_y, shift_x] = augmentation;
  float* dst = out.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int sy = y + shift_y, sx = (flip ? width - 1 - x : x) + shift_x;
      const bool inside = sy >= 0 && sy < height && sx >= 0 && sx < width;
      const uint8_t* src = inside ? prepared.data() + (size_t(sy) * width + sx) * c : nullptr;
      for (int k = 0; k < c; ++k) *dst++ = normalized_[k][inside ? src[k] : 0];
    }
  }
}

}  // namespace pocketune::data
