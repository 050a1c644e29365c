#include "apps/data/picture_cache.h"

#include <cstring>

namespace pocketune::data {
namespace {

constexpr int64_t kAllocationBytes = 32;  // of the allocator's, for each picture

}  // namespace

bool PictureCache::Get(int64_t sample, std::vector<uint8_t>* out) {
  const uint8_t* picture;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    picture = pictures_[sample].get();
  }
  // A picture never changes once it is there.
  if (picture != nullptr) std::memcpy(out->data(), picture, out->size());
  return picture != nullptr;
}

void PictureCache::Put(int64_t sample, const std::vector<uint8_t>& picture) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int64_t bytes = int64_t(picture.size()) + kAllocationBytes;
  if (pictures_[sample] != nullptr || left_bytes_ < bytes) return;
  left_bytes_ -= bytes;
  pictures_[sample] = std::make_unique<uint8_t[]>(picture.size());
  std::memcpy(pictures_[sample].get(), picture.data(), picture.size());
}

}  // namespace pocketune::data
