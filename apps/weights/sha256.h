// SHA-256 of a file.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace pocketune {

// In hexadecimal, small letters. NOT_FOUND or UNAVAILABLE for the file.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path);

}  // namespace pocketune
