// Checksums of plans and checkpoints, on libxxhash (XXH3, 64 bit): against damage, not malice.
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>

namespace pocketune {

inline uint64_t Checksum(const void* data, size_t bytes) { return XXH3_64bits(data, bytes); }

}  // namespace pocketune
