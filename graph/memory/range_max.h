// Heights over a range of nodes that only grow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace pocketune {

// One height per node, 0 at first. Both calls take time log n.
class RangeMax {
 public:
  explicit RangeMax(int nodes) {
    while (leaves_ < nodes) leaves_ *= 2;
    floor_.assign(static_cast<size_t>(2 * leaves_), 0);
    max_ = floor_;
  }

  // The largest height of the nodes [first, last].
  int64_t Max(int first, int last) const { return Max(1, 0, leaves_ - 1, first, last); }
  // Makes the heights of the nodes [first, last] at least `height`.
  void Raise(int first, int last, int64_t height) { Raise(1, 0, leaves_ - 1, first, last, height); }

 private:
  // `at` is the tree's node over the nodes [begin, end].
  int64_t Max(int at, int begin, int end, int first, int last) const {
    if (last < begin || end < first) return 0;
    if (first <= begin && end <= last) return max_[at];
    const int middle = (begin + end) / 2;
    const int64_t below = std::max(Max(2 * at, begin, middle, first, last),
                                   Max(2 * at + 1, middle + 1, end, first, last));
    return std::max(floor_[at], below);
  }

  void Raise(int at, int begin, int end, int first, int last, int64_t height) {
    if (last < begin || end < first) return;
    max_[at] = std::max(max_[at], height);
    if (first <= begin && end <= last) {
      floor_[at] = std::max(floor_[at], height);
      return;
    }
    const int middle = (begin + end) / 2;
    Raise(2 * at, begin, middle, first, last, height);
    Raise(2 * at + 1, middle + 1, end, first, last, height);
  }

  int leaves_ = 1;
  std::vector<int64_t> floor_;  // per node of the tree: what all below it are raised to
  std::vector<int64_t> max_;    // the largest height below it
};

}  // namespace pocketune
