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
#include <utility>
#include <vector>

#include "engine/base/pages.h"
#include "pocketune/status.h"
#include "pocketune/types.h"

namespace pocketune {

inline constexpr uint64_t kCheckpointMagic = 0x3154504b43545021ull;  // "!PTCKPT1"
inline constexpr uint32_t kCheckpointVersion = 2;                    // 2: belongs to a model
inline constexpr uint32_t kOldestCheckpointVersion = 1;  // belongs to a plan; still read

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

// What a saved tensor is. As stored.
enum class TensorKind : uint8_t {
  kParameter = 0,  // also where the file does not say (version 1)
  kStatistic = 1,  // a running mean or variance
  kState = 2,      // of the optimizer
};

// A tensor to save, or of a file: f32, `values` has shape.elems() elements.
struct CheckpointTensor {
  std::string_view name;
  Shape shape;
  TensorKind kind = TensorKind::kParameter;
  std::string_view of = {};         // of a state: its parameter
  std::string_view optimizer = {};  // of a state: the op that updates the parameter with it
  uint32_t slices = 0;              // of a state: Param.slices of plan.fbs
  std::span<const float> values = {};
};

// What a checkpoint holds beside tensors. An identity is 0 where it is not known.
struct CheckpointInfo {
  uint64_t model_identity = 0;
  uint64_t weights_identity = 0;
  uint64_t plan_identity = 0;  // of version 1 alone
  uint64_t generation = 0;
  uint64_t step = 0;
  std::string user;
};

// Writes version 2; info.plan_identity does not count. Errors as WriteFileAtomically;
// INVALID_ARGUMENT where `user` is longer than 16 MiB.
Status WriteCheckpoint(const char* path, const CheckpointInfo& info,
                       std::span<const CheckpointTensor> tensors);

// Header alone, its checksum and the file's length checked. Errors as CheckpointFile::Open.
Result<CheckpointHeader> ReadCheckpointHeader(const char* path);

// Is each byte as it was written? Errors as CheckpointFile::Open.
Status VerifyCheckpoint(const char* path);

// A file of any version that is read, the whole of it checked and in memory of its own: names are
// unique, shapes in range, tensors one behind the other. Whose tensors they are is for the caller
// to judge.
class CheckpointFile {
 public:
  // NOT_FOUND; UNAVAILABLE (detail = errno); DATA_LOSS; UNIMPLEMENTED (of a newer version);
  // RESOURCE_EXHAUSTED.
  static Result<CheckpointFile> Open(const char* path);

  uint32_t version() const { return version_; }
  const CheckpointInfo& info() const { return info_; }
  // In the file's order; views into this.
  const std::vector<CheckpointTensor>& tensors() const { return tensors_; }

 private:
  CheckpointFile(Pages body, const CheckpointHeader& header)
      : body_(std::move(body)), version_(header.version) {
    info_.generation = header.generation;
  }
  Status Parse(const CheckpointHeader& header);

  Pages body_;
  uint32_t version_;
  CheckpointInfo info_;
  std::vector<CheckpointTensor> tensors_;
};

}  // namespace pocketune
