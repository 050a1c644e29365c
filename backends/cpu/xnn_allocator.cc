#ifdef POCKETUNE_XNNPACK

#include "backends/cpu/xnn_allocator.h"

#include <xnnpack.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "backends/cpu/xnn_kernels.h"
#include "engine/base/math.h"
#include "engine/base/pages.h"

namespace pocketune {
namespace {

std::atomic<int64_t> g_held{0};
thread_local int64_t t_held = 0;

void Count(int64_t bytes) {
  g_held.fetch_add(bytes, std::memory_order_relaxed);
  t_held += bytes;
}

// Stands right before each block.
struct Header {
  void* base;
  size_t bytes;  // asked for
  size_t taken;  // from the system
};

Header* HeaderOf(void* pointer) { return static_cast<Header*>(pointer) - 1; }

void* AlignedAllocate(void*, size_t alignment, size_t bytes) {
  const size_t align = std::max<size_t>(alignment, kAlignment);
  if (bytes > SIZE_MAX - 2 * align) return nullptr;
  const size_t taken = (bytes + 2 * align - 1) / align * align;
  void* base = std::aligned_alloc(align, taken);
  if (base == nullptr) return nullptr;
  UseHugePages(base, static_cast<int64_t>(taken));
  void* pointer = static_cast<char*>(base) + align;
  *HeaderOf(pointer) = {base, bytes, taken};
  Count(static_cast<int64_t>(taken));
  return pointer;
}

void Deallocate(void*, void* pointer) {
  if (pointer == nullptr) return;
  Count(-static_cast<int64_t>(HeaderOf(pointer)->taken));
  std::free(HeaderOf(pointer)->base);
}

void* Allocate(void* context, size_t bytes) { return AlignedAllocate(context, kAlignment, bytes); }

void* Reallocate(void* context, void* pointer, size_t bytes) {
  void* grown = Allocate(context, bytes);
  if (grown == nullptr || pointer == nullptr) return grown;
  std::memcpy(grown, pointer, std::min(bytes, HeaderOf(pointer)->bytes));
  Deallocate(context, pointer);
  return grown;
}

}  // namespace

int64_t XnnHeldByThread() { return t_held; }
int64_t XnnHeldBytes() { return g_held.load(std::memory_order_relaxed); }

const xnn_allocator* XnnAllocator() {
  static const xnn_allocator allocator = {nullptr,    Allocate,        Reallocate,
                                          Deallocate, AlignedAllocate, Deallocate};
  return &allocator;
}

void* XnnAllocate(size_t bytes) { return Allocate(nullptr, bytes); }
void XnnFree(void* pointer) { Deallocate(nullptr, pointer); }

}  // namespace pocketune

#endif  // POCKETUNE_XNNPACK
