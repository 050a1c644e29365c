// JPEG, PNG and WebP pictures with EXIF data. The checksums of PNG chunks are made to fit.
#include <cstring>

#include "apps/data/image.h"
#include "tests/apps/data/data_test_util.h"
#include "tests/fuzz/fuzz_target.h"

namespace pocketune::fuzz {
namespace {

constexpr uint8_t kPngSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr size_t kChunkFrame = 12;  // length, type, checksum

uint32_t ReadBig32(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3];
}

void FixPngChecksums(std::vector<uint8_t>& file) {
  size_t at = sizeof(kPngSignature);
  if (file.size() < at || std::memcmp(file.data(), kPngSignature, at) != 0) return;
  while (file.size() - at >= kChunkFrame) {
    const size_t length = ReadBig32(&file[at]);
    if (length > file.size() - at - kChunkFrame) return;
    const uint32_t crc = static_cast<uint32_t>(crc32_z(0, &file[at + 4], length + 4));
    for (int i = 0; i < 4; ++i)
      file[at + 8 + length + i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
    at += length + kChunkFrame;
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  using data::JpegScans;
  std::vector<std::string> seeds;
  for (const int channels : {1, 3}) {
    const data::Image image = data::MakeImage(19, 37, channels, 1);
    seeds.push_back(ToString(data::EncodeJpeg(image)));
    seeds.push_back(ToString(data::EncodeJpeg(image, JpegScans::kProgressive)));
    seeds.push_back(ToString(data::EncodePng(image)));
    seeds.push_back(ToString(data::EncodePng(image, PNG_INTERLACE_ADAM7)));
  }
  const data::Image ink = data::MakeImage(19, 37, 4, 1), image = data::MakeImage(19, 37, 3, 1);
  const data::Bytes exif = data::MakeExif(6, true);
  seeds.push_back(ToString(data::EncodeJpeg(ink)));
  seeds.push_back(ToString(data::WithExif(data::EncodeJpeg(image), exif)));
  seeds.push_back(ToString(data::WithChunk(data::EncodePng(image), "eXIf", exif)));
  seeds.push_back(ToString(data::EncodeWebp(ink, 80)));
  seeds.push_back(ToString(
      data::MakeWebp({data::WebpHeader(8, 37, 19), data::PixelsOfWebp(data::EncodeWebp(image)),
                      data::RiffChunk("EXIF", exif)})));
  const std::vector<png_color> palette = {{1, 2, 3}, {40, 50, 60}};
  seeds.push_back(
      ToString(data::EncodePngRows(2, 3, PNG_COLOR_TYPE_PALETTE, 1, 0, {0x40, 0xc0}, palette)));
  const data::Bytes wide = data::Noise(8 * 5 * 3, 1);
  seeds.push_back(ToString(data::EncodePngRows(5, 3, PNG_COLOR_TYPE_RGB_ALPHA, 16, 0, wide)));
  return seeds;
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  std::vector<uint8_t> file(data, data + size);
  FixPngChecksums(file);
  for (const data::DecodeHint& hint : {data::DecodeHint{}, data::DecodeHint{4, 7}}) {
    data::Image image;
    const absl::Status status = data::DecodeImageBytes(file, "picture", hint, &image);
    RequireGoodError(status);
    if (!status.ok()) continue;
    Require(image.height > 0 && image.width > 0 && (image.channels == 1 || image.channels == 3) &&
                image.pixels.size() == size_t(image.height) * image.width * image.channels,
            "a decoded picture is whole");
    Accept();
  }
  return 0;
}
