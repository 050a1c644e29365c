// Pictures: decoding bytes that nobody has checked before.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace pocketune::data {

// Pixels u8 [height, width, channels], row by row, channels innermost: 1 = grey, 3 = RGB (sRGB as
// stored; colour profiles are not applied), turned as the EXIF orientation says.
struct Image {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;

  // Keeps the capacity of `pixels`; the values are unspecified afterwards.
  void Reset(int h, int w, int c);
};

// Larger pictures are refused before anything is allocated for them, except JPEGs, which are
// decoded smaller.
inline constexpr int64_t kMaxPixels = int64_t{64} << 20;
inline constexpr int64_t kMaxImageFileBytes = int64_t{128} << 20;
// Part of the identity of whatever is made of pictures and kept: raised where the same bytes begin
// to give other pixels.
inline constexpr uint64_t kDecodingRules = 2;

// What the reader of the picture needs at least, as it is to be seen; 0 = everything. A JPEG is
// decoded at 1/2, 1/4 or 1/8 of its size (a DCT of fewer coefficients) where that is still at least
// this large: 12-megapixel photos cost a fraction of the time and memory. Other kinds ignore it.
struct DecodeHint {
  int min_height = 0;
  int min_width = 0;
};

// Whether a file of this name counts as a picture in a folder, be it one that can be decoded or
// not: what cannot must be counted as bad, which a note or a thumbnail's index must not.
bool HasPictureName(const std::string& name);

// Decodes `bytes`, JPEG, PNG, WebP (of an animation the first picture) or, where the machine has
// libheif, HEIC and AVIF, told apart by content, into `*out`: grey stays 1 channel, colour, palette
// and CMYK give 3, 16 bit are scaled to 8, alpha is dropped. `where` begins the error line. A
// picture of which rows are missing or damaged is an error, not a partly grey picture; bytes that
// no row needs are none. Errors: DATA_LOSS for bad content, `*out` is then unspecified.
// Thread-safe.
absl::Status DecodeImageBytes(std::span<const uint8_t> bytes, const std::string& where,
                              const DecodeHint& hint, Image* out);

// The same from a file. Errors of reading as for ReadFile.
absl::Status DecodeImageFile(const std::string& path, const DecodeHint& hint, Image* out);

}  // namespace pocketune::data
