#include "apps/data/image.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/data/file_io.h"
#include "apps/data/image_codecs.h"

namespace pocketune::data {
namespace {

constexpr std::array<uint8_t, 3> kJpegMagic = {0xff, 0xd8, 0xff};
constexpr std::array<uint8_t, 8> kPngMagic = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

bool StartsWith(std::span<const uint8_t> bytes, std::span<const uint8_t> magic) {
  return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

std::string FirstBytes(std::span<const uint8_t> bytes) {
  std::string text;
  for (uint8_t b : bytes.first(std::min<size_t>(bytes.size(), 4))) {
    absl::StrAppendFormat(&text, "%s%02x", text.empty() ? "" : " ", b);
  }
  return text;
}

}  // namespace

void Image::Reset(int h, int w, int c) {
  height = h;
  width = w;
  channels = c;
  pixels.resize(size_t(h) * w * c);
}

absl::Status DecodeImageBytes(std::span<const uint8_t> bytes, const std::string& where,
                              const DecodeHint& hint, Image* out) {
  if (StartsWith(bytes, kJpegMagic)) return DecodeJpeg(bytes, where, hint, out);
  if (StartsWith(bytes, kPngMagic)) return DecodePng(bytes, where, out);
  if (bytes.empty()) return BadData(where, "empty file (got 0 bytes, want a JPEG or PNG picture)");
  return BadData(where, absl::StrCat("unknown kind of picture (got bytes ", FirstBytes(bytes),
                                     ", want JPEG or PNG)"));
}

absl::Status DecodeImageFile(const std::string& path, const DecodeHint& hint, Image* out) {
  std::vector<uint8_t> bytes;
  if (absl::Status s = ReadFile(path, kMaxImageFileBytes, &bytes); !s.ok()) return s;
  return DecodeImageBytes(bytes, path, hint, out);
}

}  // namespace pocketune::data
