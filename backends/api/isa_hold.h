// What keeps the instruction set of own kernels as it is.
#pragma once

#include <atomic>

namespace pocketune {

// Held by each open session. A plan's kernels, their scratch and the weights that they packed were
// checked for one instruction set: while any of these lives, another one is refused (SetIsa of
// cpu_kernels.h). Thread-safe.
class IsaHold {
 public:
  IsaHold() { count_.fetch_add(1, std::memory_order_relaxed); }
  ~IsaHold() { count_.fetch_sub(1, std::memory_order_relaxed); }
  IsaHold(const IsaHold&) = delete;
  IsaHold& operator=(const IsaHold&) = delete;

  static bool any() { return count_.load(std::memory_order_relaxed) > 0; }

 private:
  static inline std::atomic<int> count_{0};
};

}  // namespace pocketune
