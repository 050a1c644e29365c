#include "engine/base/pages.h"

#include <sys/mman.h>

#include <cerrno>

namespace pocketune {

Result<Pages> Pages::Allocate(int64_t bytes) {
  if (bytes == 0) return Pages();
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return Status(StatusCode::kResourceExhausted, "the system has not enough memory", errno);
  }
  // A kernel without huge pages refuses, which is as well.
  madvise(data, static_cast<size_t>(bytes), MADV_NOHUGEPAGE);
  return Pages(static_cast<uint8_t*>(data), bytes);
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(bytes_));
}

}  // namespace pocketune
