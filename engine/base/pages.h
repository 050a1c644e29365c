// Zeroed memory straight from the system, which becomes resident when touched.
#pragma once

#include <cstdint>
#include <utility>

#include "pocketune/status.h"

namespace pocketune {

// The size of a huge page on x86-64, and on 64-bit Arm with pages of 4 KiB.
inline constexpr int64_t kHugePageBytes = int64_t{2} << 20;

// Asks for huge pages where whole ones fit into [data, data + bytes): streams through large tensors
// then spend no time on address translation. A system without them refuses, which is as well.
void UseHugePages(void* data, int64_t bytes);

// Owns the memory; page-aligned. kSmall: what counts as used is what is used, to the page. kHuge:
// in huge pages as far as whole ones fit, and of these untouched bytes count, too.
class Pages {
 public:
  Pages() = default;
  enum class Size { kSmall, kHuge };
  // `bytes` >= 0. RESOURCE_EXHAUSTED where the system has not as much.
  static Result<Pages> Allocate(int64_t bytes, Size size = Size::kSmall);
  ~Pages();
  Pages(Pages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  uint8_t* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  Pages(uint8_t* data, int64_t bytes) : data_(data), bytes_(bytes) {}

  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace pocketune
