#include "engine/base/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/math.h"

namespace pocketune {
namespace {

uint8_t* Map(int64_t bytes) {
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? nullptr : static_cast<uint8_t*>(data);
}

void Unmap(uint8_t* begin, uint8_t* end) {
  if (begin < end) munmap(begin, static_cast<size_t>(end - begin));
}

uint8_t* AlignUpTo(uint8_t* data, int64_t alignment) {
  const auto address = static_cast<int64_t>(reinterpret_cast<uintptr_t>(data));
  return data + (AlignUp(address, alignment) - address);
}

// Starts where a huge page can: maps that much more, and gives back what is left at both ends.
uint8_t* MapForHugePages(int64_t bytes) {
  uint8_t* mapped = Map(bytes + kHugePageBytes);
  if (mapped == nullptr) return Map(bytes);
  uint8_t* data = AlignUpTo(mapped, kHugePageBytes);
  Unmap(mapped, data);
  Unmap(AlignUpTo(data + bytes, sysconf(_SC_PAGESIZE)), mapped + bytes + kHugePageBytes);
  return data;
}

}  // namespace

void UseHugePages(void* data, int64_t bytes) {
  auto* begin = static_cast<uint8_t*>(data);
  uint8_t* first = AlignUpTo(begin, kHugePageBytes);
  const int64_t whole = (begin + bytes - first) / kHugePageBytes * kHugePageBytes;
  if (whole > 0) madvise(first, static_cast<size_t>(whole), MADV_HUGEPAGE);
}

Result<Pages> Pages::Allocate(int64_t bytes, Size size) {
  if (bytes == 0) return Pages();
  const bool huge = size == Size::kHuge && bytes >= kHugePageBytes;
  uint8_t* data = huge ? MapForHugePages(bytes) : Map(bytes);
  if (data == nullptr) {
    return Status(StatusCode::kResourceExhausted, "the system has not enough memory", errno);
  }
  madvise(data, static_cast<size_t>(bytes), MADV_NOHUGEPAGE);
  if (huge) UseHugePages(data, bytes);
  return Pages(data, bytes);
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(bytes_));
}

}  // namespace pocketune
