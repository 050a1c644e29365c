#include "graph/memory/exact_planner.h"

#include <algorithm>

namespace pocketune {
namespace {

// Every layout can be pushed down until each buffer rests on the floor or on one that it overlaps
// in time, without needing more. Such a layout is built by placing buffers by rising offset, each
// on the highest neighbour placed before; so the search runs over orders of placement.
class Search {
 public:
  Search(const std::vector<Buffer>& buffers, int64_t max_visits)
      : buffers_(buffers), visits_left_(max_visits), best_(PlanArena(buffers)) {
    for (const Buffer& buffer : buffers) {
      nodes_ = std::max(nodes_, buffer.last + 1);
    }
    height_.assign(nodes_, 0);
    remaining_.assign(nodes_, 0);
    for (const Buffer& buffer : buffers) {
      for (int n = buffer.first; n <= buffer.last; ++n) remaining_[n] += buffer.bytes;
    }
    placed_.assign(buffers.size(), false);
    offsets_.assign(buffers.size(), 0);
  }

  std::optional<ArenaLayout> Run() {
    Place(0, 0, -1);
    if (visits_left_ < 0) return std::nullopt;
    return best_;
  }

 private:
  // What the arena needs at least, given what is placed: at each node all that is still to come
  // lies above what is there, and not below `floor`.
  int64_t Bound(int64_t floor) const {
    int64_t bound = 0;
    for (int n = 0; n < nodes_; ++n) {
      const int64_t base = remaining_[n] == 0 ? height_[n] : std::max(height_[n], floor);
      bound = std::max(bound, base + remaining_[n]);
    }
    return bound;
  }

  int64_t RestOf(const Buffer& buffer) const {
    return *std::max_element(height_.begin() + buffer.first, height_.begin() + buffer.last + 1);
  }

  // `floor`, `last`: offset and index of the buffer placed last. Equal offsets go by index.
  void Place(size_t count, int64_t floor, int last) {
    if (--visits_left_ < 0 || Bound(floor) >= best_.bytes) return;
    if (count == buffers_.size()) {
      best_.offsets = offsets_;
      best_.bytes = *std::max_element(height_.begin(), height_.end());
      return;
    }
    for (size_t i = 0; i < buffers_.size(); ++i) {
      const Buffer& buffer = buffers_[i];
      if (placed_[i]) continue;
      const int64_t offset = RestOf(buffer);
      if (offset < floor || (offset == floor && static_cast<int>(i) < last)) continue;
      const std::vector<int64_t> under(height_.begin() + buffer.first,
                                       height_.begin() + buffer.last + 1);
      for (int n = buffer.first; n <= buffer.last; ++n) {
        height_[n] = offset + buffer.bytes;
        remaining_[n] -= buffer.bytes;
      }
      placed_[i] = true;
      offsets_[i] = offset;
      Place(count + 1, offset, static_cast<int>(i));
      placed_[i] = false;
      for (int n = buffer.first; n <= buffer.last; ++n) remaining_[n] += buffer.bytes;
      std::copy(under.begin(), under.end(), height_.begin() + buffer.first);
    }
  }

  const std::vector<Buffer>& buffers_;
  int64_t visits_left_;
  ArenaLayout best_;
  int nodes_ = 0;
  std::vector<int64_t> height_;     // per node: where the placed buffers end
  std::vector<int64_t> remaining_;  // per node: bytes of those to come
  std::vector<bool> placed_;
  std::vector<int64_t> offsets_;
};

}  // namespace

std::optional<ArenaLayout> PlanArenaExactly(const std::vector<Buffer>& buffers,
                                            int64_t max_visits) {
  if (buffers.empty()) return ArenaLayout{};
  return Search(buffers, max_visits).Run();
}

}  // namespace pocketune
