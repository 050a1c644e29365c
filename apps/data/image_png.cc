#include <png.h>

#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "apps/data/file_io.h"
#include "apps/data/image_codecs.h"
#include "apps/data/orientation.h"

namespace pocketune::data {
namespace {

constexpr png_alloc_size_t kMaxChunkBytes = 8 << 20;
constexpr png_uint_32 kMaxCachedChunks = 128;
constexpr png_uint_32 kMaxSide = 1 << 16;

// Everything a decode touches; see JpegJob.
struct PngJob {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const uint8_t> rest;
  int64_t file_bytes = 0;
  char message[256] = "";
  Image* out = nullptr;
};

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  auto* job = static_cast<PngJob*>(png_get_error_ptr(png));
  std::snprintf(job->message, sizeof(job->message), "%s", message);
  png_longjmp(png, 1);
}

// Warnings concern colour profiles, times and texts, which nobody reads here.
void OnWarning(png_structp, png_const_charp) {}

void OnRead(png_structp png, png_bytep out, size_t n) {
  auto* job = static_cast<PngJob*>(png_get_io_ptr(png));
  if (job->rest.size() < n) png_error(png, "file ends too early");
  std::memcpy(out, job->rest.data(), n);
  job->rest = job->rest.subspan(n);
}

// EXIF data as programs wrote them before PNG had a chunk for them: "\nexif\n", a length, and
// hexadecimal digits in lines.
std::vector<uint8_t> BytesOfProfile(std::string_view text) {
  std::vector<uint8_t> bytes;
  const size_t name = text.find("exif\n");
  const size_t digits = name == text.npos ? text.npos : text.find('\n', name + 5);
  if (digits == text.npos) return bytes;
  int high = -1;
  for (const char c : text.substr(digits)) {
    if (!absl::ascii_isxdigit(c)) continue;
    const int digit = absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10;
    if (high >= 0) bytes.push_back(uint8_t(high << 4 | digit));
    high = high >= 0 ? -1 : digit;
  }
  return bytes;
}

// After the whole file: EXIF data may stand behind the pixels. Nothing here calls png_error.
int OrientationOf(png_structp png, png_infop info) {
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(png, info, &size, &exif) != 0) {
    return ExifOrientation({exif, size}).value_or(1);
  }
  png_textp texts = nullptr;
  const int count = png_get_text(png, info, &texts, nullptr);
  for (int i = 0; i < count; ++i) {
    const std::string_view key = texts[i].key;
    if (key != "Raw profile type exif" && key != "Raw profile type APP1") continue;
    if (texts[i].text == nullptr) continue;
    if (const auto found = ExifOrientation(BytesOfProfile(texts[i].text))) return *found;
  }
  return 1;
}

void Decode(PngJob* job) {
  png_structp png = job->png;
  png_set_user_limits(png, kMaxSide, kMaxSide);
  png_set_chunk_malloc_max(png, kMaxChunkBytes);
  png_set_chunk_cache_max(png, kMaxCachedChunks);
  png_set_read_fn(png, job, OnRead);
  png_read_info(png, job->info);
  const int64_t height = png_get_image_height(png, job->info);
  const int64_t width = png_get_image_width(png, job->info);
  if (height * width > kMaxPixels) png_error(png, "more than 64 megapixels");
  const int64_t raw_bytes = height * int64_t(png_get_rowbytes(png, job->info));
  if (raw_bytes / kMaxDeflateRatio > job->file_bytes) {
    png_error(png, "more pixels than the file can hold");
  }
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_strip_alpha(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, job->info);
  job->out->Reset(int(height), int(width), png_get_channels(png, job->info));
  const size_t row_bytes = png_get_rowbytes(png, job->info);
  for (int pass = 0; pass < passes; ++pass) {
    for (int64_t y = 0; y < height; ++y) {
      png_read_row(png, job->out->pixels.data() + y * row_bytes, nullptr);
    }
  }
  png_read_end(png, job->info);
}

bool RunGuarded(PngJob* job) {
  if (setjmp(png_jmpbuf(job->png)) != 0) return false;
  Decode(job);
  return true;
}

}  // namespace

absl::Status DecodePng(std::span<const uint8_t> bytes, const std::string& where, Image* out,
                       int* orientation) {
  PngJob job;
  job.rest = bytes;
  job.file_bytes = int64_t(bytes.size());
  job.out = out;
  job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, OnError, OnWarning);
  if (job.png != nullptr) job.info = png_create_info_struct(job.png);
  const bool begun = job.info != nullptr;  // else there was no memory
  const bool ok = begun && RunGuarded(&job);
  if (ok) *orientation = OrientationOf(job.png, job.info);
  if (job.png != nullptr) png_destroy_read_struct(&job.png, &job.info, nullptr);
  if (ok) return absl::OkStatus();
  // libpng has no numbers for its errors; sizes in the file are bounded before it allocates.
  if (!begun || std::strstr(job.message, "emory") != nullptr) return LacksMemory(where);
  return BadData(where, absl::StrCat("bad PNG (got \"", job.message, "\")"));
}

}  // namespace pocketune::data
