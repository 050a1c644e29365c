#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/data/file_io.h"
#include "apps/data/image_codecs.h"
#include "apps/data/orientation.h"

namespace pocketune::data {
namespace {

// What WebPDemux gives: `Release` frees nothing of the file's bytes.
struct Frame : WebPIterator {
  ~Frame() { WebPDemuxReleaseIterator(this); }
};
struct Chunk : WebPChunkIterator {
  ~Chunk() { WebPDemuxReleaseChunkIterator(this); }
};

absl::Status BadWebp(const std::string& where, const char* fact) {
  return BadData(where, absl::StrCat("bad WebP (got \"", fact, "\")"));
}

int OrientationOf(const WebPDemuxer* demuxer) {
  Chunk exif = {};
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &exif) == 0) return 1;
  return ExifOrientation({exif.chunk.bytes, exif.chunk.size}).value_or(1);
}

// Into its place on the canvas; what it does not cover is black, as transparent pixels are.
VP8StatusCode DecodeFrame(const Frame& frame, Image* canvas) {
  const bool fits = frame.x_offset >= 0 && frame.y_offset >= 0 && frame.width > 0 &&
                    frame.height > 0 && frame.width <= canvas->width - frame.x_offset &&
                    frame.height <= canvas->height - frame.y_offset;
  WebPDecoderConfig config;
  if (!fits || WebPInitDecoderConfig(&config) == 0) return VP8_STATUS_BITSTREAM_ERROR;
  if (frame.width < canvas->width || frame.height < canvas->height) {
    std::fill(canvas->pixels.begin(), canvas->pixels.end(), uint8_t{0});
  }
  const size_t stride = size_t(canvas->width) * 3;
  const size_t first = frame.y_offset * stride + size_t(frame.x_offset) * 3;
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = canvas->pixels.data() + first;
  config.output.u.RGBA.stride = int(stride);
  config.output.u.RGBA.size = canvas->pixels.size() - first;
  const VP8StatusCode code = WebPDecode(frame.fragment.bytes, frame.fragment.size, &config);
  WebPFreeDecBuffer(&config.output);
  return code;
}

}  // namespace

absl::Status DecodeWebp(std::span<const uint8_t> bytes, const std::string& where, Image* out,
                        int* orientation) {
  const WebPData data = {bytes.data(), bytes.size()};
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemux(&data),
                                                                         &WebPDemuxDelete);
  if (demuxer == nullptr) return BadWebp(where, "file is damaged or ends too early");
  const int64_t width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  const int64_t height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  if (width * height > kMaxPixels) return BadWebp(where, "more than 64 megapixels");
  Frame frame = {};
  if (WebPDemuxGetFrame(demuxer.get(), 1, &frame) == 0) return BadWebp(where, "no picture in it");
  out->Reset(int(height), int(width), 3);
  const VP8StatusCode code = DecodeFrame(frame, out);
  if (code == VP8_STATUS_OUT_OF_MEMORY) return LacksMemory(where);
  if (code != VP8_STATUS_OK) return BadWebp(where, "picture data are damaged");
  *orientation = OrientationOf(demuxer.get());
  return absl::OkStatus();
}

}  // namespace pocketune::data
