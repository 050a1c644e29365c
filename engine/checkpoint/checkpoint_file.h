// One checkpoint file. Byte layout (docs/checkpoint_format.md):
//
//   CheckpointHeader (64 bytes) | FlatBuffer, padded to 64 | values, each tensor padded to 64
//
// All integers little-endian. The file's length is exact; every byte is under a checksum.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "pocketune/status.h"
#include "pocketune/types.h"

namespace pocketune {

inline constexpr uint64_t kCheckpointMagic = 0x3154504b43545021ull;  // "!PTCKPT1"
inline constexpr uint32_t kCheckpointVersion = 1;

struct CheckpointHeader {
  uint64_t magic = kCheckpointMagic;
  uint32_t version = kCheckpointVersion;
  uint32_t reserved = 0;
  uint64_t generation = 0;       // the newest of a run folder is the highest
  uint64_t metadata_bytes = 0;   // of the FlatBuffer, which starts at byte 64
  uint64_t data_offset = 0;      // multiple of 64
  uint64_t data_bytes = 0;       // the file ends here
  uint64_t body_checksum = 0;    // of everything from byte 64 to the end of the file
  uint64_t header_checksum = 0;  // of the 56 bytes before it
};
static_assert(sizeof(CheckpointHeader) == 64);

// A tensor to save or to restore: f32, `values` has shape.elems() elements.
struct CheckpointTensor {
  std::string_view name;
  Shape shape;
  std::span<float> values;
};

// What a checkpoint holds beside tensors.
struct CheckpointInfo {
  uint64_t plan_identity = 0;
  uint64_t generation = 0;
  uint64_t step = 0;
  std::string user;
};

// Errors as WriteFileAtomically; INVALID_ARGUMENT where `user` is longer than 16 MiB.
Status WriteCheckpoint(const char* path, const CheckpointInfo& info,
                       std::span<const CheckpointTensor> tensors);

// Header alone, its checksum and the file's length checked. Errors as ReadCheckpoint.
Result<CheckpointHeader> ReadCheckpointHeader(const char* path);

// Is each byte as it was written? Errors as ReadCheckpoint.
Status VerifyCheckpoint(const char* path);

// Reads the checkpoint into `tensors` if it is whole, of the plan `plan_identity`, and has exactly
// these tensors; else nothing is written. Errors: NOT_FOUND; UNAVAILABLE (detail = errno);
// DATA_LOSS; FAILED_PRECONDITION (of another plan); UNIMPLEMENTED (of a newer version);
// RESOURCE_EXHAUSTED.
Result<CheckpointInfo> ReadCheckpoint(const char* path, uint64_t plan_identity,
                                      std::span<const CheckpointTensor> tensors);

}  // namespace pocketune
