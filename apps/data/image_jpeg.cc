#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

// libjpeg's header needs size_t and FILE declared first,
#include <jpeglib.h>

// and that of its messages needs the former to number them.
#include <jerror.h>

#include "absl/strings/str_cat.h"
#include "apps/data/file_io.h"
#include "apps/data/image_codecs.h"
#include "apps/data/orientation.h"

namespace pocketune::data {
namespace {

// A progressive file of a few kilobytes can ask for any number of passes over a large picture.
constexpr int kMaxScans = 100;
// A Huffman code has at least one bit for each block of 64 pixels: a larger claim is a lie.
constexpr int64_t kMaxPixelsPerByte = 8 * 64;
// Where a picture comes in several scans, libjpeg keeps all of its coefficients, at any scale. What
// 64 megapixels of four components at full resolution need.
constexpr int64_t kMaxCoefficientBytes = kMaxPixels * 4 * int64_t{sizeof(JCOEF)};

// Everything a decode touches. Lives in the frame above the one with setjmp, so that nothing with a
// destructor is jumped over.
struct JpegJob {
  jpeg_decompress_struct cinfo = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
  std::span<const uint8_t> bytes;
  DecodeHint hint;
  Image* out = nullptr;
  std::vector<uint8_t> ink_row;  // one row of CMYK
  int orientation = 0;           // 0: not told
  bool end_is_missing = false;
  bool has_extra_bytes = false;
};

JpegJob* JobOf(j_common_ptr cinfo) { return static_cast<JpegJob*>(cinfo->client_data); }

[[noreturn]] void Fail(JpegJob* job, const char* message) {
  std::snprintf(job->message, sizeof(job->message), "%s", message);
  std::longjmp(job->jump, 1);
}

[[noreturn]] void OnError(j_common_ptr cinfo) {
  cinfo->err->format_message(cinfo, JobOf(cinfo)->message);
  std::longjmp(JobOf(cinfo)->jump, 1);
}

// What libjpeg only warns of (level -1). Where data are missing or make no sense it paints the rest
// grey: that is a bad picture. All else (bytes that nothing needs, unknown numbers in JFIF, Adobe
// and ICC segments) leaves every row as it was taken.
void OnMessage(j_common_ptr cinfo, int level) {
  if (level >= 0) return;
  switch (cinfo->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      OnError(cinfo);
    case JWRN_JPEG_EOF:  // the decoder also reads ahead: see LacksData
      JobOf(cinfo)->end_is_missing = true;
      break;
    case JWRN_EXTRANEOUS_DATA:
      JobOf(cinfo)->has_extra_bytes = true;
      break;
    default:
      break;
  }
}

void OnProgress(j_common_ptr cinfo) {
  if (JobOf(cinfo)->cinfo.input_scan_number > kMaxScans) Fail(JobOf(cinfo), "more than 100 scans");
}

// APP1 holds EXIF data, among others. All of the file is in memory: nothing is waited for, or kept.
boolean OnApp1(j_decompress_ptr cinfo) {
  auto* job = static_cast<JpegJob*>(cinfo->client_data);
  const std::span<const uint8_t> rest(cinfo->src->next_input_byte, cinfo->src->bytes_in_buffer);
  if (rest.size() < 2) Fail(job, "file ends too early");
  const size_t length = std::max<size_t>(2, size_t{rest[0]} << 8 | rest[1]);
  const std::span<const uint8_t> segment = rest.subspan(2, std::min(length, rest.size()) - 2);
  if (job->orientation == 0) job->orientation = ExifOrientation(segment).value_or(0);
  cinfo->src->skip_input_data(cinfo, long(length));
  return TRUE;
}

int64_t ScaledPixels(const jpeg_decompress_struct& cinfo, int denominator) {
  const auto scaled = [&](JDIMENSION side) {
    return (int64_t{side} + denominator - 1) / denominator;
  };
  return scaled(cinfo.image_height) * scaled(cinfo.image_width);
}

int ScaleDenominator(const JpegJob& job) {
  int min_height = job.hint.min_height, min_width = job.hint.min_width;
  if (job.orientation >= 5) std::swap(min_height, min_width);
  int denominator = 1;
  while (denominator < 8 && min_height > 0 && min_width > 0 &&
         job.cinfo.image_height / (2 * denominator) >= unsigned(min_height) &&
         job.cinfo.image_width / (2 * denominator) >= unsigned(min_width)) {
    denominator *= 2;
  }
  while (denominator < 8 && ScaledPixels(job.cinfo, denominator) > kMaxPixels) denominator *= 2;
  return denominator;
}

void CheckSize(JpegJob* job) {
  jpeg_decompress_struct* cinfo = &job->cinfo;
  const int64_t pixels = int64_t{cinfo->image_height} * cinfo->image_width;
  if (pixels / kMaxPixelsPerByte > int64_t(job->bytes.size())) {
    Fail(job, "more pixels than the file can hold");
  }
  if (ScaledPixels(*cinfo, 8) > kMaxPixels) Fail(job, "more than 64 megapixels at an eighth");
  if (!jpeg_has_multiple_scans(cinfo)) return;
  int64_t coefficients = 0;
  for (int i = 0; i < cinfo->num_components; ++i) {
    const jpeg_component_info& component = cinfo->comp_info[i];
    coefficients += int64_t{component.width_in_blocks} * component.height_in_blocks * DCTSIZE2;
  }
  if (coefficients * int64_t{sizeof(JCOEF)} > kMaxCoefficientBytes) {
    Fail(job, "progressive, and too large to keep: its coefficients need more than 512 MiB");
  }
}

J_COLOR_SPACE OutputColours(JpegJob* job) {
  switch (job->cinfo.num_components) {
    case 1:
      return JCS_GRAYSCALE;
    case 3:
      return JCS_RGB;
    case 4:
      return JCS_CMYK;  // of YCCK too
    default:
      Fail(job, "neither grey nor RGB nor CMYK");
  }
}

// Four components hold what is left of the light, 255 for no ink, as Adobe began to write them and
// everybody reads them. With the roundings of Pillow.
void LightFromInk(const uint8_t* cmyk, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4) {
    for (int k = 0; k < 3; ++k) {
      const int shadow = (255 - cmyk[k]) * cmyk[3] + 128;
      *rgb++ = uint8_t(std::max(0, cmyk[3] - ((shadow + (shadow >> 8)) >> 8)));
    }
  }
}

void ReadRows(JpegJob* job) {
  jpeg_decompress_struct* cinfo = &job->cinfo;
  const bool is_ink = cinfo->out_color_space == JCS_CMYK;
  if (is_ink) job->ink_row.resize(size_t{cinfo->output_width} * 4);
  job->out->Reset(cinfo->output_height, cinfo->output_width, is_ink ? 3 : cinfo->output_components);
  const size_t row_bytes = size_t(job->out->width) * job->out->channels;
  while (cinfo->output_scanline < cinfo->output_height) {
    uint8_t* pixels = job->out->pixels.data() + cinfo->output_scanline * row_bytes;
    JSAMPROW row = is_ink ? job->ink_row.data() : pixels;
    jpeg_read_scanlines(cinfo, &row, 1);
    if (is_ink) LightFromInk(row, job->out->width, pixels);
  }
}

// Whether, if the file ends too early, more than the end marker may be missing, though the decoder
// of Huffman codes had the bits of every row: a scan, or, in an arithmetic code, whatever.
bool MayLackScans(const jpeg_decompress_struct& cinfo, bool has_many_scans) {
  if (cinfo.arith_code) return true;
  if (!has_many_scans) return false;
  if (cinfo.coef_bits == nullptr) return true;
  for (int i = 0; i < cinfo.num_components; ++i) {
    const int* bits = cinfo.coef_bits[i];
    if (std::any_of(bits, bits + DCTSIZE2, [](int missing) { return missing != 0; })) return true;
  }
  return false;
}

void Decode(JpegJob* job) {
  jpeg_decompress_struct* cinfo = &job->cinfo;
  jpeg_create_decompress(cinfo);
  job->progress.progress_monitor = OnProgress;
  cinfo->progress = &job->progress;
  jpeg_mem_src(cinfo, job->bytes.data(), job->bytes.size());
  jpeg_set_marker_processor(cinfo, JPEG_APP0 + 1, OnApp1);
  jpeg_read_header(cinfo, TRUE);
  CheckSize(job);
  cinfo->out_color_space = OutputColours(job);
  cinfo->scale_num = 1;
  cinfo->scale_denom = ScaleDenominator(*job);
  const bool has_many_scans = jpeg_has_multiple_scans(cinfo);
  jpeg_start_decompress(cinfo);
  ReadRows(job);
  const bool may_lack_scans = MayLackScans(*cinfo, has_many_scans);
  jpeg_finish_decompress(cinfo);
  // Zeros where data should be look like codes of grey blocks, with many to spare.
  if (job->end_is_missing && (may_lack_scans || job->has_extra_bytes)) {
    Fail(job, "premature end of JPEG file");
  }
}

bool RunGuarded(JpegJob* job) {
  if (setjmp(job->jump) != 0) return false;
  Decode(job);
  return true;
}

}  // namespace

absl::Status DecodeJpeg(std::span<const uint8_t> bytes, const std::string& where,
                        const DecodeHint& hint, Image* out, int* orientation) {
  JpegJob job;
  job.bytes = bytes;
  job.hint = hint;
  job.out = out;
  job.cinfo.err = jpeg_std_error(&job.errors);
  job.errors.error_exit = OnError;
  job.errors.emit_message = OnMessage;
  job.cinfo.client_data = &job;
  const bool ok = RunGuarded(&job);
  jpeg_destroy_decompress(&job.cinfo);
  if (!ok && job.errors.msg_code == JERR_OUT_OF_MEMORY) return LacksMemory(where);
  if (!ok) return BadData(where, absl::StrCat("bad JPEG (got \"", job.message, "\")"));
  *orientation = std::max(1, job.orientation);
  return absl::OkStatus();
}

}  // namespace pocketune::data
