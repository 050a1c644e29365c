#include <dlfcn.h>

#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/data/file_io.h"
#include "apps/data/image_codecs.h"

// libheif is LGPL and large, and most people have no use for it: it is neither linked nor needed to
// build. What is called of its C interface, unchanged since version 1.0:
extern "C" {
struct heif_context;
struct heif_image_handle;
struct heif_image;
struct heif_error {
  int code;  // 0: none
  int subcode;
  const char* message;
};
}

namespace pocketune::data {
namespace {

constexpr int kColorspaceRgb = 1;
constexpr int kChromaInterleavedRgb = 10;
constexpr int kChannelInterleaved = 10;

// libheif's functions, or as many of them as a library has.
class Heif {
 public:
  explicit Heif(const char* library) : library_(dlopen(library, RTLD_NOW | RTLD_LOCAL)) {
    Find("heif_context_alloc", &context_alloc);
    Find("heif_context_free", &context_free);
    Find("heif_context_read_from_memory_without_copy", &read_from_memory);
    Find("heif_context_get_primary_image_handle", &primary_handle);
    Find("heif_image_handle_release", &handle_release);
    Find("heif_image_handle_get_width", &handle_width);
    Find("heif_image_handle_get_height", &handle_height);
    Find("heif_decode_image", &decode_image);
    Find("heif_image_release", &image_release);
    Find("heif_image_get_width", &image_width);
    Find("heif_image_get_height", &image_height);
    Find("heif_image_get_plane_readonly", &plane);
  }
  // The library stays loaded: it has threads' and codecs' state that must outlive the pictures.
  Heif(const Heif&) = delete;
  Heif& operator=(const Heif&) = delete;

  bool complete() const { return complete_; }

  heif_context* (*context_alloc)();
  void (*context_free)(heif_context*);
  heif_error (*read_from_memory)(heif_context*, const void*, size_t, const void* options);
  heif_error (*primary_handle)(heif_context*, heif_image_handle**);
  void (*handle_release)(const heif_image_handle*);
  int (*handle_width)(const heif_image_handle*);
  int (*handle_height)(const heif_image_handle*);
  heif_error (*decode_image)(const heif_image_handle*, heif_image**, int colorspace, int chroma,
                             const void* options);
  void (*image_release)(const heif_image*);
  int (*image_width)(const heif_image*, int channel);
  int (*image_height)(const heif_image*, int channel);
  const uint8_t* (*plane)(const heif_image*, int channel, int* stride);

 private:
  template <typename Function>
  void Find(const char* name, Function* function) {
    void* symbol = library_ == nullptr ? nullptr : dlsym(library_, name);
    std::memcpy(function, &symbol, sizeof(symbol));
    complete_ = complete_ && symbol != nullptr;
  }

  void* library_;
  bool complete_ = true;
};

absl::Status BadHeif(const std::string& where, const std::string& fact) {
  return BadData(where, absl::StrCat("bad HEIC or AVIF (got \"", fact, "\")"));
}

absl::Status CopyPixels(const Heif& heif, const heif_image* image, const std::string& where,
                        Image* out) {
  const int width = heif.image_width(image, kChannelInterleaved);
  const int height = heif.image_height(image, kChannelInterleaved);
  int stride = 0;
  const uint8_t* rows = heif.plane(image, kChannelInterleaved, &stride);
  if (rows == nullptr || width <= 0 || height <= 0 || stride < 3 * int64_t{width} ||
      int64_t{width} * height > kMaxPixels) {
    return BadHeif(where, "no pixels in it");
  }
  out->Reset(height, width, 3);
  const size_t row_bytes = size_t(width) * 3;
  for (int y = 0; y < height; ++y) {
    std::memcpy(out->pixels.data() + y * row_bytes, rows + size_t(y) * stride, row_bytes);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeHeif(std::span<const uint8_t> bytes, const std::string& where, Image* out,
                        const char* library) {
  const Heif heif(library);
  if (!heif.complete()) {
    return BadData(where, absl::StrCat("HEIC and AVIF need libheif (got no ", library,
                                       ", want it installed, or the picture as JPEG)"));
  }
  const std::unique_ptr<heif_context, void (*)(heif_context*)> context(heif.context_alloc(),
                                                                       heif.context_free);
  if (context == nullptr) return LacksMemory(where);
  const auto failed = [&](const heif_error& error) {
    return BadHeif(where, error.message == nullptr ? "unknown error" : error.message);
  };
  heif_error error = heif.read_from_memory(context.get(), bytes.data(), bytes.size(), nullptr);
  if (error.code != 0) return failed(error);
  heif_image_handle* raw_handle = nullptr;
  error = heif.primary_handle(context.get(), &raw_handle);
  if (error.code != 0) return failed(error);
  const std::unique_ptr<heif_image_handle, void (*)(const heif_image_handle*)> handle(
      raw_handle, heif.handle_release);
  if (int64_t{heif.handle_width(raw_handle)} * heif.handle_height(raw_handle) > kMaxPixels) {
    return BadHeif(where, "more than 64 megapixels");
  }
  heif_image* raw_image = nullptr;
  error = heif.decode_image(raw_handle, &raw_image, kColorspaceRgb, kChromaInterleavedRgb, nullptr);
  if (error.code != 0) return failed(error);
  const std::unique_ptr<heif_image, void (*)(const heif_image*)> image(raw_image,
                                                                       heif.image_release);
  return CopyPixels(heif, raw_image, where, out);
}

}  // namespace pocketune::data
