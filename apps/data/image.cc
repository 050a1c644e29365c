#include "apps/data/image.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/data/file_io.h"
#include "apps/data/image_codecs.h"
#include "apps/data/orientation.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

using namespace std::string_view_literals;

constexpr char kWanted[] = "JPEG, PNG, WebP, HEIC or AVIF";

// Kinds of pictures that people have and nobody decodes here, by their first bytes.
struct ForeignKind {
  std::string_view magic;
  const char* name;
};
constexpr ForeignKind kForeignKinds[] = {
    {"GIF8"sv, "GIF"},
    {"BM"sv, "BMP"},
    {"II*\0"sv, "TIFF or raw"},
    {"MM\0*"sv, "TIFF or raw"},
    {"\xff\x0a"sv, "JPEG XL"},
    {"\0\0\0\x0cJXL "sv, "JPEG XL"},
    {"\0\0\0\x0cjP  "sv, "JPEG 2000"},
    {"8BPS"sv, "PSD"},
};

// The brands of ISO base media files that are HEIC or AVIF pictures (or sequences of them).
constexpr std::string_view kHeifBrands[] = {"heic"sv, "heix"sv, "heim"sv, "heis"sv, "hevc"sv,
                                            "hevx"sv, "mif1"sv, "msf1"sv, "avif"sv, "avis"sv};

bool HoldsAt(std::span<const uint8_t> bytes, size_t at, std::string_view text) {
  return bytes.size() >= at && bytes.size() - at >= text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

// The file's first box names the brands: one at 8, a version, then any number of further ones.
bool IsHeif(std::span<const uint8_t> bytes) {
  constexpr size_t kMaxBoxBytes = 256;
  if (bytes.size() < 12 || !HoldsAt(bytes, 4, "ftyp")) return false;
  const size_t box = size_t{bytes[2]} << 8 | bytes[3];
  bytes = bytes.first(std::min({bytes.size(), std::max<size_t>(box, 12), kMaxBoxBytes}));
  for (size_t at = 8; at + 4 <= bytes.size(); at += at == 8 ? 8 : 4) {
    for (const std::string_view brand : kHeifBrands) {
      if (HoldsAt(bytes, at, brand)) return true;
    }
  }
  return false;
}

std::string FirstBytes(std::span<const uint8_t> bytes) {
  std::string text;
  for (uint8_t b : bytes.first(std::min<size_t>(bytes.size(), 4))) {
    absl::StrAppendFormat(&text, "%s%02x", text.empty() ? "" : " ", b);
  }
  return text;
}

absl::Status UnknownKind(std::span<const uint8_t> bytes, const std::string& where) {
  if (bytes.empty()) {
    return BadData(where, absl::StrCat("empty file (got 0 bytes, want ", kWanted, ")"));
  }
  for (const ForeignKind& kind : kForeignKinds) {
    if (!HoldsAt(bytes, 0, kind.magic)) continue;
    return BadData(where, absl::StrCat(kind.name, " pictures are not decoded (got bytes ",
                                       FirstBytes(bytes), ", want ", kWanted, "; convert it)"));
  }
  return BadData(where, absl::StrCat("unknown kind of picture (got bytes ", FirstBytes(bytes),
                                     ", want ", kWanted, ")"));
}

// The pixels as they lie in the file, and how they are to be held.
absl::Status DecodeStored(std::span<const uint8_t> bytes, const std::string& where,
                          const DecodeHint& hint, Image* out, int* orientation) {
  if (HoldsAt(bytes, 0, "\xff\xd8\xff"sv)) return DecodeJpeg(bytes, where, hint, out, orientation);
  if (HoldsAt(bytes, 0, "\x89PNG\r\n\x1a\n"sv)) return DecodePng(bytes, where, out, orientation);
  if (HoldsAt(bytes, 0, "RIFF"sv) && HoldsAt(bytes, 8, "WEBP"sv)) {
    return DecodeWebp(bytes, where, out, orientation);
  }
  if (IsHeif(bytes)) return DecodeHeif(bytes, where, out);
  return UnknownKind(bytes, where);
}

}  // namespace

void Image::Reset(int h, int w, int c) {
  height = h;
  width = w;
  channels = c;
  const size_t bytes = size_t(h) * w * c;
  if (bytes > pixels.capacity()) std::vector<uint8_t>().swap(pixels);  // never both at once
  pixels.resize(bytes);
}

bool HasPictureName(const std::string& name) {
  for (const char* end : {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif",
                          ".hif", ".avif", ".gif", ".bmp", ".tif", ".tiff", ".jxl", ".jp2"}) {
    if (absl::EndsWithIgnoreCase(name, end)) return true;
  }
  return false;
}

absl::Status DecodeImageBytes(std::span<const uint8_t> bytes, const std::string& where,
                              const DecodeHint& hint, Image* out) {
  int orientation = 1;
  const absl::Status status = DecodeStored(bytes, where, hint, out, &orientation);
  if (status.ok()) Orient(orientation, out);
  return status;
}

absl::Status DecodeImageFile(const std::string& path, const DecodeHint& hint, Image* out) {
  std::vector<uint8_t> bytes;
  PT_TRY(ReadFile(path, kMaxImageFileBytes, &bytes));
  return DecodeImageBytes(bytes, path, hint, out);
}

}  // namespace pocketune::data
