// The file form of an update scheme.
#pragma once

#include "sparse_bp/scheme.h"

namespace pocketune {

// Reads a file of at most 1 MiB and parses it.
absl::StatusOr<UpdateScheme> ReadSchemeFile(const std::string& path);

}  // namespace pocketune
