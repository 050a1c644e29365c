// Zeroed memory straight from the system, in 4 KiB pages that become resident when touched: what
// counts as used is what is used, to the page.
#pragma once

#include <cstdint>
#include <utility>

#include "pocketune/status.h"

namespace pocketune {

// Owns the memory; page-aligned. Without huge pages, which would make untouched bytes resident.
class Pages {
 public:
  Pages() = default;
  // `bytes` >= 0. RESOURCE_EXHAUSTED where the system has not as much.
  static Result<Pages> Allocate(int64_t bytes);
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
