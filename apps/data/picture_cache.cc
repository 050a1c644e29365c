#include "apps/data/picture_cache.h"

#include <cstring>

namespace pocketune::data {

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
  if (pictures_[sample] != nullptr || left_bytes_ < int64_t(picture.size())) return;
  left_bytes_ -= int64_t(picture.size());
  pictures_[sample] = std::make_unique<uint8_t[]>(picture.size());
  std::memcpy(pictures_[sample].get(), picture.data(), picture.size());
}

}  // namespace pocketune::data
