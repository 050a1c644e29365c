#include "graph/lower/segment.h"

#include <cstring>

#include "engine/base/checksum.h"
#include "engine/base/math.h"
#include "engine/plan/plan_format.h"

namespace pocketune {

int Segment::Add(const HostData& data, bool resident) {
  const size_t bytes = data->size() * sizeof(float);
  const uint64_t checksum = Checksum(data->data(), bytes);
  const auto [begin, end] = by_checksum_.equal_range(checksum);
  for (auto it = begin; it != end; ++it) {
    Blob& blob = blobs_[it->second];
    if (blob.data->size() != data->size()) continue;
    if (std::memcmp(blob.data->data(), data->data(), bytes) != 0) continue;
    blob.resident = blob.resident || resident;
    return it->second;
  }
  const int handle = static_cast<int>(blobs_.size());
  blobs_.push_back({data, resident, 0});
  by_checksum_.emplace(checksum, handle);
  return handle;
}

void Segment::LayOut() {
  for (const bool resident : {true, false}) {
    for (Blob& blob : blobs_) {
      if (blob.resident != resident) continue;
      blob.offset = bytes_;
      bytes_ += AlignUp(blob.bytes());
    }
    if (resident) resident_bytes_ = AlignUp(bytes_, kSegmentAlignment);
  }
}

void Segment::CopyTo(char* out) const {
  std::memset(out, 0, static_cast<size_t>(bytes_));
  for (const Blob& blob : blobs_) {
    std::memcpy(out + blob.offset, blob.data->data(), static_cast<size_t>(blob.bytes()));
  }
}

}  // namespace pocketune
