// The memory of XNNPACK, counted: what it holds is part of the plan's promise.
#pragma once

#include <cstddef>

struct xnn_allocator;

namespace pocketune {

// For xnn_initialize; lives for ever.
const xnn_allocator* XnnAllocator();

// From the same counted memory, 64-byte aligned; nullptr where there is none. Thread-safe.
void* XnnAllocate(size_t bytes);
void XnnFree(void* pointer);

}  // namespace pocketune
