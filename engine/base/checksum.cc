#include "engine/base/checksum.h"

// All of it inline: the two functions that are used are a small part of the library.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pocketune {
namespace {

XXH3_state_t* StateOf(void* state) { return static_cast<XXH3_state_t*>(state); }

}  // namespace

uint64_t Checksum(const void* data, size_t bytes) { return XXH3_64bits(data, bytes); }

ChecksumStream::ChecksumStream() : state_(XXH3_createState()) {
  XXH3_64bits_reset(StateOf(state_.get()));
}

void ChecksumStream::Add(const void* data, size_t bytes) {
  XXH3_64bits_update(StateOf(state_.get()), data, bytes);
}

uint64_t ChecksumStream::Value() const { return XXH3_64bits_digest(StateOf(state_.get())); }

void ChecksumStream::Free::operator()(void* state) const { XXH3_freeState(StateOf(state)); }

}  // namespace pocketune
