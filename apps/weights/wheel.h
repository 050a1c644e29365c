// Python packages, as archives of files.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace pocketune {

// Writes the one member of the zip archive `wheel` whose name ends in `suffix` to `to`.
// INVALID_ARGUMENT for a damaged archive, or one with no or several such members, or one of more
// than `most` bytes; UNAVAILABLE where writing fails.
absl::Status ExtractMember(const std::string& wheel, const std::string& suffix, int64_t most,
                           const std::string& to);

}  // namespace pocketune
