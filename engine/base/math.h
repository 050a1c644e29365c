// Integer helpers that know about overflow.
#pragma once

#include <cstdint>

namespace pocketune {

// Every tensor in the arena and in a file starts on such a boundary (one cache line, one zmm).
inline constexpr int64_t kAlignment = 64;
// Kernels may read, not use, so far past the end of a tensor; whoever places one leaves as much.
inline constexpr int64_t kReadAheadBytes = 128;

constexpr int64_t AlignUp(int64_t n, int64_t alignment = kAlignment) {
  return (n + alignment - 1) / alignment * alignment;
}

constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// False where the exact result does not fit; *out is then unspecified.
inline bool CheckedMul(int64_t a, int64_t b, int64_t* out) {
  return !__builtin_mul_overflow(a, b, out);
}
inline bool CheckedAdd(int64_t a, int64_t b, int64_t* out) {
  return !__builtin_add_overflow(a, b, out);
}
// Of numbers not below 0: stops at the largest int64.
inline int64_t SaturatedAdd(int64_t a, int64_t b) {
  int64_t sum;
  return CheckedAdd(a, b, &sum) ? sum : INT64_MAX;
}

}  // namespace pocketune
