// Checksums of plans and checkpoints, on libxxhash (XXH3, 64 bit): against damage, not malice.
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace pocketune {

inline uint64_t Checksum(const void* data, size_t bytes) { return XXH3_64bits(data, bytes); }

// The same of bytes that come in pieces.
class ChecksumStream {
 public:
  ChecksumStream() { XXH3_64bits_reset(state_.get()); }
  void Add(const void* data, size_t bytes) { XXH3_64bits_update(state_.get(), data, bytes); }
  uint64_t Value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

}  // namespace pocketune
