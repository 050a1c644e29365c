// Byte layout of a .ptplan file:
//
//   PlanHeader (64 bytes) | FlatBuffer, padded to 64 | padding to 4096 | segment | 128 zero bytes
//
// All integers little-endian. The file's length is exact; every byte is under a checksum.
#pragma once

#include <cstdint>

#include "engine/base/math.h"

namespace pocketune {

inline constexpr uint64_t kPlanMagic = 0x314e414c50545021ull;  // "!PTPLAN1"
// 2: loops over parts of the batch; 3: roles, and predictions on inputs of their own shape
inline constexpr uint32_t kPlanVersion = 3;
inline constexpr uint32_t kOldestPlanVersion = 1;   // that is still read
inline constexpr int64_t kSegmentAlignment = 4096;  // one page

struct PlanHeader {
  uint64_t magic = kPlanMagic;
  uint32_t version = kPlanVersion;
  uint32_t reserved = 0;
  uint64_t metadata_bytes = 0;     // of the FlatBuffer, which starts at byte 64
  uint64_t segment_offset = 0;     // multiple of kSegmentAlignment
  uint64_t segment_bytes = 0;      // the file ends kReadAheadBytes after the segment
  uint64_t metadata_checksum = 0;  // of everything from byte 64 up to segment_offset
  uint64_t segment_checksum = 0;   // of everything from segment_offset to the end of the file
  uint64_t header_checksum = 0;    // of the 56 bytes before it
};
static_assert(sizeof(PlanHeader) == 64);

// What a process needs beside arena, parameters, states, packed weights and constants:
// code and data pages of the engine and its libraries that the first step touches, the pool's
// stacks, the metadata, and the allocator's slack.
constexpr int64_t StatedOverheadBytes(int64_t steps) { return (11 << 18) + 1024 * steps; }

}  // namespace pocketune
