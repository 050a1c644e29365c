#include "apps/data/decode_bytes.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "apps/data/file_io.h"

namespace pocketune::data {
namespace {

constexpr int64_t kDecoderBytes = 256 << 10;  // tables and rows of the libraries
constexpr int64_t kUnknownRatio = 40;         // of a picture's bytes to a well packed file's

// What a file says of its picture; no height: nothing.
struct Frame {
  int64_t height = 0;
  int64_t width = 0;
  int bytes_per_pixel = 3;    // of the picture as it is decoded
  bool scales = false;        // can be decoded at 1/2, 1/4 or 1/8 of its size
  bool coefficients = false;  // the decoder holds all of the picture's, two bytes each
};

int64_t Big16(const uint8_t* p) { return p[0] << 8 | p[1]; }
int64_t Big32(const uint8_t* p) { return Big16(p) << 16 | Big16(p + 2); }
int64_t Little24(const uint8_t* p) { return p[0] | p[1] << 8 | p[2] << 16; }

// The frame header (SOF) of a JPEG and its first scan's (SOS), over whatever stands between.
Frame JpegFrame(const ReadOnlyFile& file) {
  Frame frame;
  int components = 0;
  std::array<uint8_t, 10> segment;
  for (int64_t at = 2; at + int64_t{segment.size()} <= file.size();) {
    if (!file.ReadAt(at, segment).ok()) return {};
    const uint8_t marker = segment[1];
    if (segment[0] != 0xff || marker == 0xff) {  // fill bytes, or rubbish that libjpeg skips
      ++at;
      continue;
    }
    if (marker == 0xda) {
      // A scan of some components alone is one of several.
      frame.coefficients = frame.coefficients || segment[4] < components;
      return frame;
    }
    const bool table = marker == 0xc4 || marker == 0xc8 || marker == 0xcc;
    if (marker >= 0xc0 && marker <= 0xcf && !table) {
      components = segment[9];
      const bool progressive = (marker & 3) == 2;
      frame = {Big16(&segment[5]), Big16(&segment[7]), components == 1 ? 1 : 4, true, progressive};
    }
    const bool bare = marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    at += bare ? 2 : 2 + std::max<int64_t>(2, Big16(&segment[2]));
  }
  return frame;
}

Frame PngFrame(std::span<const uint8_t> head) {
  // Rows come with an alpha channel and 16 bits before these are dropped.
  return {Big32(&head[20]), Big32(&head[16]), 4, false, false};
}

Frame WebpFrame(std::span<const uint8_t> head) {
  const auto is = [&](const char* kind) { return std::memcmp(&head[12], kind, 4) == 0; };
  const auto low14 = [&](size_t at) -> int64_t { return (head[at] | head[at + 1] << 8) & 0x3fff; };
  if (is("VP8X")) return {Little24(&head[27]) + 1, Little24(&head[24]) + 1, 8, false, false};
  if (is("VP8L")) {
    const uint32_t bits = static_cast<uint32_t>(Little24(&head[21])) | uint32_t{head[24]} << 24;
    return {int64_t{bits >> 14 & 0x3fff} + 1, int64_t{bits & 0x3fff} + 1, 8, false, false};
  }
  if (is("VP8 ")) return {low14(28), low14(26), 8, false, false};
  return {};
}

Frame FrameOf(const ReadOnlyFile& file) {
  std::array<uint8_t, 32> head = {};
  const auto n = static_cast<size_t>(std::min<int64_t>(file.size(), head.size()));
  if (!file.ReadAt(0, std::span(head).first(n)).ok() || n < head.size()) return {};
  if (head[0] == 0xff && head[1] == 0xd8) return JpegFrame(file);
  if (std::memcmp(head.data(), "\x89PNG", 4) == 0) return PngFrame(head);
  if (std::memcmp(head.data(), "RIFF", 4) == 0 && std::memcmp(&head[8], "WEBP", 4) == 0) {
    return WebpFrame(head);
  }
  return {};
}

// From a picture to the transform's size: the picture, a copy with other channels or turned, and
// the rows between the two axes of resizing.
int64_t PictureBytes(int64_t height, int64_t width, int64_t channels, const Transform& transform) {
  const int64_t rows =
      (height + 1) * transform.decode_hint().min_width * 3 * int64_t{sizeof(float)};
  return height * width * (channels + 3) + rows + transform.elems();
}

}  // namespace

int64_t DecodeBytes(const std::string& path, const Transform& transform) {
  const absl::StatusOr<ReadOnlyFile> file = ReadOnlyFile::Open(path);
  if (!file.ok()) return kDecoderBytes;
  const int64_t file_bytes = std::min(file->size(), kMaxImageFileBytes);
  Frame frame = FrameOf(*file);
  if (frame.height == 0) return kDecoderBytes + file_bytes * (1 + kUnknownRatio);
  int64_t bytes = kDecoderBytes + file_bytes;
  if (frame.coefficients)
    bytes += frame.height * frame.width * std::min(frame.bytes_per_pixel, 3) * 2;
  const DecodeHint hint = transform.decode_hint();
  for (int i = 0; i < 3 && frame.scales; ++i) {
    const bool small = frame.height / 2 < hint.min_height || frame.width / 2 < hint.min_width;
    if (small && frame.height * frame.width <= kMaxPixels) break;
    frame.height /= 2;
    frame.width /= 2;
  }
  // What is larger is refused before anything is allocated for it.
  if (frame.height * frame.width > kMaxPixels) return bytes;
  return bytes + PictureBytes(frame.height, frame.width, frame.bytes_per_pixel, transform);
}

int64_t LargestDecodeBytes(const Dataset& dataset, const Transform& transform) {
  if (dataset.in_memory()) {
    Image image;  // they are all of one size
    if (dataset.samples().empty() || !dataset.DecodeImage(0, {}, &image).ok()) return 0;
    return PictureBytes(image.height, image.width, image.channels, transform);
  }
  int64_t most = 0;
  for (const Split split : {Split::kTrain, Split::kVal, Split::kTest}) {
    for (const int64_t sample : dataset.Indices(split)) {
      most = std::max(most, DecodeBytes(dataset.PathOf(sample), transform));
    }
  }
  return most;
}

}  // namespace pocketune::data
