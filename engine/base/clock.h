// The clock that runs are timed by: steady, from an origin of its own.
#pragma once

#include <chrono>
#include <cstdint>

namespace pocketune {

inline int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline double NowSeconds() { return 1e-9 * static_cast<double>(NowNs()); }

}  // namespace pocketune
