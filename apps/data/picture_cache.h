// Decoded and resized pictures, so that later epochs need not decode them again.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace pocketune::data {

// Prepared pictures (Transform::Prepare) by sample, first come, first kept, up to a budget.
// Thread-safe.
class PictureCache {
 public:
  PictureCache(size_t samples, int64_t budget_bytes)
      : pictures_(samples), left_bytes_(budget_bytes) {}

  // True if it is there: its bytes are copied to `out`, which has their size.
  bool Get(int64_t sample, std::vector<uint8_t>* out);
  // Keeps a copy unless it is there or there is no room for it.
  void Put(int64_t sample, const std::vector<uint8_t>& picture);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<uint8_t[]>> pictures_;
  int64_t left_bytes_;
};

}  // namespace pocketune::data
