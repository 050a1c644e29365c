#include "apps/data/orientation.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pocketune::data {
namespace {

constexpr uint8_t kExifPrefix[] = {'E', 'x', 'i', 'f', 0};  // and a byte of padding
constexpr uint32_t kOrientationTag = 0x0112;
constexpr size_t kEntryBytes = 12;
enum FieldType : uint32_t { kByte = 1, kShort = 3, kLong = 4 };

// Whole numbers of a TIFF structure, in its own byte order.
class TiffBytes {
 public:
  explicit TiffBytes(std::span<const uint8_t> bytes)
      : bytes_(bytes), big_endian_(!bytes.empty() && bytes[0] == 'M') {}

  // Nothing where the bytes end before it.
  std::optional<uint32_t> Read(size_t at, size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return std::nullopt;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value = value << 8 | bytes_[at + (big_endian_ ? i : size - 1 - i)];
    }
    return value;
  }

 private:
  std::span<const uint8_t> bytes_;
  bool big_endian_;
};

bool BeginsAsTiff(std::span<const uint8_t> bytes) {
  return bytes.size() >= 4 &&
         (std::memcmp(bytes.data(), "II*\0", 4) == 0 || std::memcmp(bytes.data(), "MM\0*", 4) == 0);
}

// The single whole number that the entry at `at` holds.
std::optional<uint32_t> ValueOfEntry(const TiffBytes& tiff, size_t at) {
  const std::optional<uint32_t> type = tiff.Read(at + 2, 2), count = tiff.Read(at + 4, 4);
  if (!type || count != 1u) return std::nullopt;
  switch (*type) {
    case kByte:
      return tiff.Read(at + 8, 1);
    case kShort:
      return tiff.Read(at + 8, 2);
    case kLong:
      return tiff.Read(at + 8, 4);
    default:
      return std::nullopt;
  }
}

void Transpose(Image* image) {
  Image turned;
  turned.Reset(image->width, image->height, image->channels);
  const int c = image->channels;
  const size_t row_bytes = size_t(image->width) * c;
  uint8_t* dst = turned.pixels.data();
  for (int y = 0; y < turned.height; ++y) {
    const uint8_t* src = image->pixels.data() + size_t(y) * c;
    for (int x = 0; x < turned.width; ++x, src += row_bytes) {
      for (int k = 0; k < c; ++k) *dst++ = src[k];
    }
  }
  std::swap(*image, turned);
}

void MirrorRows(Image* image) {
  const int c = image->channels;
  const size_t row_bytes = size_t(image->width) * c;
  for (int y = 0; y < image->height; ++y) {
    uint8_t* left = image->pixels.data() + y * row_bytes;
    uint8_t* right = left + row_bytes - c;
    for (; left < right; left += c, right -= c) std::swap_ranges(left, left + c, right);
  }
}

void ReverseRows(Image* image) {
  const size_t row_bytes = size_t(image->width) * image->channels;
  uint8_t* pixels = image->pixels.data();
  for (int top = 0, bottom = image->height - 1; top < bottom; ++top, --bottom) {
    std::swap_ranges(pixels + top * row_bytes, pixels + (top + 1) * row_bytes,
                     pixels + bottom * row_bytes);
  }
}

}  // namespace

std::optional<int> ExifOrientation(std::span<const uint8_t> exif) {
  const size_t prefix = sizeof(kExifPrefix) + 1;
  if (exif.size() >= prefix && std::memcmp(exif.data(), kExifPrefix, sizeof(kExifPrefix)) == 0) {
    exif = exif.subspan(prefix);
  }
  if (!BeginsAsTiff(exif)) return std::nullopt;
  const TiffBytes tiff(exif);
  const size_t directory = tiff.Read(4, 4).value_or(0);
  const size_t entries = tiff.Read(directory, 2).value_or(0);
  for (size_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + i * kEntryBytes;
    const std::optional<uint32_t> tag = tiff.Read(at, 2);
    if (!tag) break;
    if (*tag != kOrientationTag) continue;
    const uint32_t value = ValueOfEntry(tiff, at).value_or(0);
    if (value >= 1 && value <= 8) return int(value);
  }
  return std::nullopt;
}

void Orient(int orientation, Image* image) {
  if (orientation >= 5 && orientation <= 8) Transpose(image);
  const auto is_one_of = [&](std::initializer_list<int> list) {
    return std::find(list.begin(), list.end(), orientation) != list.end();
  };
  if (is_one_of({2, 3, 6, 7})) MirrorRows(image);
  if (is_one_of({3, 4, 7, 8})) ReverseRows(image);
}

}  // namespace pocketune::data
