#include "engine/base/checksum.h"

// All of it inline: the two functions that are used are a small part of the library.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <new>

namespace pocketune {

struct ChecksumState {
  static_assert(sizeof(XXH3_state_t) <= ChecksumStream::kStateBytes);
  static_assert(alignof(XXH3_state_t) <= ChecksumStream::kStateAlignment);

  static XXH3_state_t* Of(ChecksumStream& stream) {
    return std::launder(reinterpret_cast<XXH3_state_t*>(stream.state_));
  }
  static const XXH3_state_t* Of(const ChecksumStream& stream) {
    return std::launder(reinterpret_cast<const XXH3_state_t*>(stream.state_));
  }
};

uint64_t Checksum(const void* data, size_t bytes) { return XXH3_64bits(data, bytes); }

ChecksumStream::ChecksumStream() { XXH3_64bits_reset(new (state_) XXH3_state_t{}); }

void ChecksumStream::Add(const void* data, size_t bytes) {
  XXH3_64bits_update(ChecksumState::Of(*this), data, bytes);
}

uint64_t ChecksumStream::Value() const { return XXH3_64bits_digest(ChecksumState::Of(*this)); }

}  // namespace pocketune
