#include "graph/memory/time_fit.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace pocketune {
namespace {

// What is free below the end of the arena, in pieces that do not touch.
class FreePlaces {
 public:
  // An offset for so many bytes; the arena may have to grow for it.
  int64_t Take(int64_t bytes) {
    const auto smallest = by_size_.lower_bound({bytes, 0});
    if (smallest == by_size_.end()) return TakeAtEnd(bytes);
    const auto [size, offset] = *smallest;
    Remove(by_offset_.find(offset));
    if (size > bytes) Insert(offset + bytes, size - bytes);
    return offset;
  }

  void Give(int64_t offset, int64_t bytes) {
    const auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == offset) {
        offset = before->first;
        bytes += before->second;
        Remove(before);
      }
    }
    if (next != by_offset_.end() && offset + bytes == next->first) {
      bytes += next->second;
      Remove(next);
    }
    Insert(offset, bytes);
  }

  int64_t end() const { return end_; }

 private:
  using Places = std::map<int64_t, int64_t>;  // offset, bytes

  int64_t TakeAtEnd(int64_t bytes) {
    int64_t offset = end_;
    if (!by_offset_.empty()) {
      const auto last = std::prev(by_offset_.end());
      if (last->first + last->second == end_) {
        offset = last->first;
        Remove(last);
      }
    }
    end_ = offset + bytes;
    return offset;
  }
  void Insert(int64_t offset, int64_t bytes) {
    by_offset_.emplace(offset, bytes);
    by_size_.emplace(bytes, offset);
  }
  void Remove(Places::const_iterator place) {
    by_size_.erase({place->second, place->first});
    by_offset_.erase(place);
  }

  int64_t end_ = 0;
  Places by_offset_;
  std::set<std::pair<int64_t, int64_t>> by_size_;  // bytes, offset
};

}  // namespace

ArenaLayout FitInTime(const std::vector<Buffer>& buffers) {
  std::vector<int> starts(buffers.size());
  std::iota(starts.begin(), starts.end(), 0);
  std::vector<int> ends = starts;
  std::stable_sort(starts.begin(), starts.end(), [&](int a, int b) {
    return std::pair(buffers[a].first, -buffers[a].bytes) <
           std::pair(buffers[b].first, -buffers[b].bytes);
  });
  std::stable_sort(ends.begin(), ends.end(),
                   [&](int a, int b) { return buffers[a].last < buffers[b].last; });
  ArenaLayout layout;
  layout.offsets.assign(buffers.size(), 0);
  FreePlaces free;
  auto ended = ends.begin();
  for (int i : starts) {
    for (; buffers[*ended].last < buffers[i].first; ++ended) {
      free.Give(layout.offsets[*ended], buffers[*ended].bytes);
    }
    layout.offsets[i] = free.Take(buffers[i].bytes);
  }
  layout.bytes = free.end();
  return layout;
}

}  // namespace pocketune
