// The two decoders behind image.h, each with its library's setjmp kept in one place.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "apps/data/image.h"

namespace pocketune::data {

absl::Status DecodeJpeg(std::span<const uint8_t> bytes, const std::string& where,
                        const DecodeHint& hint, Image* out);
absl::Status DecodePng(std::span<const uint8_t> bytes, const std::string& where, Image* out);

}  // namespace pocketune::data
