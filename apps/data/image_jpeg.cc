#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

// libjpeg's headers need size_t and FILE declared first.
#include <jerror.h>
#include <jpeglib.h>

#include "absl/strings/str_cat.h"
#include "apps/data/file_io.h"
#include "apps/data/image_codecs.h"

namespace pocketune::data {
namespace {

// A progressive file of a few kilobytes can ask for any number of passes over a large picture.
constexpr int kMaxScans = 100;
// A Huffman code has at least one bit for each block of 64 pixels: a larger claim is a lie.
constexpr int64_t kMaxPixelsPerByte = 8 * 64;

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
};

[[noreturn]] void Fail(JpegJob* job, const char* message) {
  std::snprintf(job->message, sizeof(job->message), "%s", message);
  std::longjmp(job->jump, 1);
}

[[noreturn]] void OnError(j_common_ptr cinfo) {
  auto* job = static_cast<JpegJob*>(cinfo->client_data);
  cinfo->err->format_message(cinfo, job->message);
  std::longjmp(job->jump, 1);
}

// libjpeg reports damaged and missing data as warnings (level -1) and paints the rest grey.
void OnMessage(j_common_ptr cinfo, int level) {
  const int code = cinfo->err->msg_code;
  const bool harmless = code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
  if (level < 0 && !harmless) OnError(cinfo);
}

void OnProgress(j_common_ptr cinfo) {
  auto* job = static_cast<JpegJob*>(cinfo->client_data);
  if (job->cinfo.input_scan_number > kMaxScans) Fail(job, "more than 100 scans");
}

int ScaleDenominator(const JpegJob& job) {
  if (job.hint.min_height <= 0 || job.hint.min_width <= 0) return 1;
  int denominator = 1;
  while (denominator < 8 &&
         job.cinfo.image_height / (2 * denominator) >= unsigned(job.hint.min_height) &&
         job.cinfo.image_width / (2 * denominator) >= unsigned(job.hint.min_width)) {
    denominator *= 2;
  }
  return denominator;
}

void Decode(JpegJob* job) {
  jpeg_decompress_struct* cinfo = &job->cinfo;
  jpeg_create_decompress(cinfo);
  job->progress.progress_monitor = OnProgress;
  cinfo->progress = &job->progress;
  jpeg_mem_src(cinfo, job->bytes.data(), job->bytes.size());
  jpeg_read_header(cinfo, TRUE);
  const int64_t pixels = int64_t{cinfo->image_height} * cinfo->image_width;
  if (pixels > kMaxPixels) Fail(job, "more than 64 megapixels");
  if (pixels / kMaxPixelsPerByte > int64_t(job->bytes.size())) {
    Fail(job, "more pixels than the file can hold");
  }
  if (cinfo->num_components != 1 && cinfo->num_components != 3) {
    Fail(job, "neither grey nor RGB (CMYK is not supported)");
  }
  cinfo->out_color_space = cinfo->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  cinfo->scale_num = 1;
  cinfo->scale_denom = ScaleDenominator(*job);
  jpeg_start_decompress(cinfo);
  job->out->Reset(cinfo->output_height, cinfo->output_width, cinfo->output_components);
  const size_t row_bytes = size_t(job->out->width) * job->out->channels;
  while (cinfo->output_scanline < cinfo->output_height) {
    JSAMPROW row = job->out->pixels.data() + cinfo->output_scanline * row_bytes;
    jpeg_read_scanlines(cinfo, &row, 1);
  }
  jpeg_finish_decompress(cinfo);
}

bool RunGuarded(JpegJob* job) {
  if (setjmp(job->jump) != 0) return false;
  Decode(job);
  return true;
}

}  // namespace

absl::Status DecodeJpeg(std::span<const uint8_t> bytes, const std::string& where,
                        const DecodeHint& hint, Image* out) {
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
  if (ok) return absl::OkStatus();
  return BadData(where, absl::StrCat("bad JPEG (got \"", job.message, "\")"));
}

}  // namespace pocketune::data
