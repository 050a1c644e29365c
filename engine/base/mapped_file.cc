#include "engine/base/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/math.h"

namespace pocketune {

Result<MappedFile> MappedFile::Map(const ReadableFile& file) {
  void* data =
      mmap(nullptr, static_cast<size_t>(file.bytes()), PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (data == MAP_FAILED) {
    return Status(StatusCode::kUnavailable, "mapping a file failed", errno);
  }
  return MappedFile(static_cast<uint8_t*>(data), file.bytes());
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(bytes_));
}

void MappedFile::GiveBack(const void* data, int64_t bytes) const {
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t begin = static_cast<const uint8_t*>(data) - data_;
  const int64_t first = begin / page * page;
  const int64_t end = AlignUp(begin + bytes, page);
  // Advice alone: where it is not taken, memory stays resident and nothing else changes.
  madvise(data_ + first, static_cast<size_t>(end - first), MADV_DONTNEED);
}

}  // namespace pocketune
