// Checksums of plans and checkpoints (XXH3, 64 bit): against damage, not malice.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pocketune {

uint64_t Checksum(const void* data, size_t bytes);

// The same of bytes that come in pieces. Takes no memory but its own.
class ChecksumStream {
 public:
  ChecksumStream();
  void Add(const void* data, size_t bytes);
  uint64_t Value() const;

 private:
  // Of the library's state, whose size checksum.cc checks.
  static constexpr size_t kStateBytes = 576, kStateAlignment = 64;
  friend struct ChecksumState;
  alignas(kStateAlignment) unsigned char state_[kStateBytes];
};

}  // namespace pocketune
