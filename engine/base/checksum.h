// Checksums of plans and checkpoints (XXH3, 64 bit): against damage, not malice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace pocketune {

uint64_t Checksum(const void* data, size_t bytes);

// The same of bytes that come in pieces.
class ChecksumStream {
 public:
  ChecksumStream();
  void Add(const void* data, size_t bytes);
  uint64_t Value() const;

 private:
  struct Free {
    void operator()(void* state) const;
  };
  std::unique_ptr<void, Free> state_;
};

}  // namespace pocketune
