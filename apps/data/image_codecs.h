// The decoders behind image.h, one file per library.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "apps/data/image.h"

namespace pocketune::data {

// Says nothing of the picture: RESOURCE_EXHAUSTED, where a library could not allocate.
inline absl::Status LacksMemory(const std::string& where) {
  return absl::ResourceExhaustedError(where + ": there is too little memory to decode it");
}

// Each as DecodeImageBytes, but that the pixels lie as they are stored: `*orientation` is what the
// EXIF data say of it (orientation.h), 1 where they say nothing.
absl::Status DecodeJpeg(std::span<const uint8_t> bytes, const std::string& where,
                        const DecodeHint& hint, Image* out, int* orientation);
absl::Status DecodePng(std::span<const uint8_t> bytes, const std::string& where, Image* out,
                       int* orientation);
// The first picture of an animation.
absl::Status DecodeWebp(std::span<const uint8_t> bytes, const std::string& where, Image* out,
                        int* orientation);

// HEIC and AVIF, by libheif, which the machine may have or lack: DATA_LOSS with a hint where it
// cannot be loaded. It turns the pixels itself.
inline constexpr char kHeifLibrary[] = "libheif.so.1";
absl::Status DecodeHeif(std::span<const uint8_t> bytes, const std::string& where, Image* out,
                        const char* library = kHeifLibrary);

}  // namespace pocketune::data
