// Pictures: decoding JPEG and PNG bytes that nobody has checked before.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace pocketune::data {

// Pixels u8 [height, width, channels], row by row, channels innermost: 1 = grey, 3 = RGB (sRGB as
// stored; colour profiles and the EXIF orientation are not applied, as in torchvision).
struct Image {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;

  // Keeps the capacity of `pixels`; the values are unspecified afterwards.
  void Reset(int h, int w, int c);
};

// Larger pictures are refused before anything is allocated for them.
inline constexpr int64_t kMaxPixels = int64_t{64} << 20;
inline constexpr int64_t kMaxImageFileBytes = int64_t{128} << 20;

// What the reader of the picture needs at least; 0 = everything. A JPEG is decoded at 1/2, 1/4 or
// 1/8 of its size (a DCT of fewer coefficients) where that is still at least this large:
// 12-megapixel photos cost a fraction of the time and memory. PNG ignores it.
struct DecodeHint {
  int min_height = 0;
  int min_width = 0;
};

// Decodes `bytes` (told apart by content) into `*out`: grey stays 1 channel, colour and palette
// give 3, 16 bit are scaled to 8, alpha is dropped. `where` begins the error line. A picture that
// libjpeg or libpng can only partly decode is an error, not a partly grey picture. Errors:
// DATA_LOSS for bad content, `*out` is then unspecified. Thread-safe.
absl::Status DecodeImageBytes(std::span<const uint8_t> bytes, const std::string& where,
                              const DecodeHint& hint, Image* out);

// The same from a file. Errors of reading as for ReadFile.
absl::Status DecodeImageFile(const std::string& path, const DecodeHint& hint, Image* out);

}  // namespace pocketune::data
