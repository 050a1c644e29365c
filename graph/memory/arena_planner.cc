#include "graph/memory/arena_planner.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "engine/base/rng.h"
#include "graph/memory/range_max.h"
#include "graph/memory/time_fit.h"

namespace pocketune {
namespace {

// Work that improving may cost, in pairs of buffers looked at.
constexpr int64_t kImprovementBudget = 40'000'000;
constexpr int64_t kMaxRounds = 400;
// Buffers up to which every buffer is compared with every other. Above, time grows as n log n:
// buffers are stacked, so that gaps between others stay empty, or placed in the order of time.
constexpr size_t kMaxCompared = 2048;
constexpr int64_t kStackingBudget = 500'000;  // for improving, in buffers stacked
// Searching orders by chance is for what is left: layouts this far above the lower bound.
constexpr double kGoodEnough = 1.01;
constexpr int64_t kSearchBudget = 120'000'000;  // in pairs of buffers
constexpr int64_t kMaxSearchRounds = 24'000;
constexpr int kSearchTimes = 3;  // where the first search is not good enough

// Live bytes of the most crowded node in each buffer's life, and their maximum.
struct Crowding {
  std::vector<int64_t> of_buffer;
  int64_t lower_bound_bytes = 0;
};

int NodesOf(const std::vector<Buffer>& buffers) {
  int nodes = 0;
  for (const Buffer& buffer : buffers) nodes = std::max(nodes, buffer.last + 1);
  return nodes;
}

Crowding CrowdingOf(const std::vector<Buffer>& buffers) {
  const int nodes = NodesOf(buffers);
  std::vector<int64_t> live(nodes + 1, 0);
  for (const Buffer& buffer : buffers) {
    live[buffer.first] += buffer.bytes;
    live[buffer.last + 1] -= buffer.bytes;
  }
  std::partial_sum(live.begin(), live.end(), live.begin());
  RangeMax heights(nodes);
  for (int n = 0; n < nodes; ++n) heights.Raise(n, n, live[n]);
  Crowding crowding;
  for (const Buffer& buffer : buffers) {
    crowding.of_buffer.push_back(heights.Max(buffer.first, buffer.last));
    crowding.lower_bound_bytes = std::max(crowding.lower_bound_bytes, crowding.of_buffer.back());
  }
  return crowding;
}

// Puts the buffers one by one, in the given order, into the smallest gap that takes them; where
// none does, on top.
ArenaLayout BestFit(const std::vector<Buffer>& buffers, const std::vector<int>& order) {
  ArenaLayout layout;
  layout.offsets.assign(buffers.size(), 0);
  std::vector<int> placed;  // sorted by offset
  placed.reserve(buffers.size());
  for (int i : order) {
    const Buffer& buffer = buffers[i];
    int64_t best = -1;
    int64_t best_gap = std::numeric_limits<int64_t>::max();
    int64_t top = 0;  // of the neighbours so far
    for (int other : placed) {
      if (!buffer.Overlaps(buffers[other])) continue;
      const int64_t gap = layout.offsets[other] - top;
      if (gap >= buffer.bytes && gap < best_gap) {
        best = top;
        best_gap = gap;
      }
      top = std::max(top, layout.offsets[other] + buffers[other].bytes);
    }
    layout.offsets[i] = best < 0 ? top : best;
    layout.bytes = std::max(layout.bytes, layout.offsets[i] + buffer.bytes);
    const auto above = [&](int64_t offset, int other) { return offset < layout.offsets[other]; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), layout.offsets[i], above), i);
  }
  return layout;
}

// Puts the buffers one by one, in the given order, on top of those that they meet.
ArenaLayout Stack(const std::vector<Buffer>& buffers, const std::vector<int>& order) {
  RangeMax heights(NodesOf(buffers));
  ArenaLayout layout;
  layout.offsets.assign(buffers.size(), 0);
  for (int i : order) {
    const Buffer& buffer = buffers[i];
    layout.offsets[i] = heights.Max(buffer.first, buffer.last);
    const int64_t top = layout.offsets[i] + buffer.bytes;
    heights.Raise(buffer.first, buffer.last, top);
    layout.bytes = std::max(layout.bytes, top);
  }
  return layout;
}

std::vector<std::vector<int>> Orders(const std::vector<Buffer>& buffers, const Crowding& crowding) {
  using Key = std::tuple<int64_t, int64_t, int64_t>;  // larger goes first
  const auto order_by = [&](auto&& key_of) {
    std::vector<int> order(buffers.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return key_of(a) > key_of(b); });
    return order;
  };
  const auto life = [&](int i) { return int64_t{buffers[i].last} - buffers[i].first + 1; };
  const auto bytes = [&](int i) { return buffers[i].bytes; };
  return {
      order_by([&](int i) {
        return Key{bytes(i), life(i), 0};
      }),
      order_by([&](int i) {
        return Key{life(i), bytes(i), 0};
      }),
      order_by([&](int i) {
        return Key{life(i) * bytes(i), bytes(i), 0};
      }),
      order_by([&](int i) {
        return Key{-buffers[i].first, buffers[i].last, bytes(i)};
      }),
      order_by([&](int i) {
        return Key{crowding.of_buffer[i], bytes(i), life(i)};
      }),
      order_by([&](int i) {
        return Key{crowding.of_buffer[i], life(i), bytes(i)};
      }),
  };
}

// Moves the buffers that end highest to the front of `order`, and keeps the others in place.
std::vector<int> HighestFirst(const std::vector<Buffer>& buffers, const ArenaLayout& layout,
                              std::vector<int> order) {
  std::stable_partition(order.begin(), order.end(), [&](int i) {
    return layout.offsets[i] + buffers[i].bytes == layout.bytes;
  });
  return order;
}

// How far a layout is from its goal: what it takes, then how much stands above the goal how long.
struct Excess {
  int64_t bytes = 0;
  int64_t above = 0;
  friend bool operator<(const Excess& a, const Excess& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.above < b.above;
  }
};

int64_t BytesAbove(const Buffer& buffer, int64_t offset, int64_t goal_bytes) {
  const int64_t above = std::max<int64_t>(0, offset + buffer.bytes - goal_bytes);
  return above * (buffer.last - buffer.first + 1);
}

Excess ExcessOf(const std::vector<Buffer>& buffers, const ArenaLayout& layout, int64_t goal_bytes) {
  Excess excess = {layout.bytes, 0};
  for (size_t i = 0; i < buffers.size(); ++i) {
    excess.above += BytesAbove(buffers[i], layout.offsets[i], goal_bytes);
  }
  return excess;
}

// A buffer that stands above the goal, or any, moves to another place in the order, more often
// forward than back; what is no worse stays, in `order` too. Chance comes from `random`, from draw
// `*drawn` on.
ArenaLayout SearchOrders(const std::vector<Buffer>& buffers, std::vector<int>& order,
                         int64_t goal_bytes, int64_t rounds, const RandomStream& random,
                         uint64_t* drawn) {
  const auto below = [&](size_t n) { return random.Below((*drawn)++, static_cast<uint32_t>(n)); };
  ArenaLayout layout = BestFit(buffers, order);
  Excess lowest = ExcessOf(buffers, layout, goal_bytes);
  for (int64_t round = 0; round < rounds && layout.bytes > goal_bytes; ++round) {
    std::vector<size_t> high;
    for (size_t k = 0; k < order.size(); ++k) {
      if (BytesAbove(buffers[order[k]], layout.offsets[order[k]], goal_bytes) > 0)
        high.push_back(k);
    }
    const size_t from = below(5) < 3 ? high[below(high.size())] : below(order.size());
    const size_t to = below(2) == 0 ? below(from + 1) : below(order.size());
    std::vector<int> moved = order;
    const auto at = [&](size_t k) { return moved.begin() + static_cast<int64_t>(k); };
    if (to < from) std::rotate(at(to), at(from), at(from + 1));
    if (from < to) std::rotate(at(from), at(from + 1), at(to + 1));
    ArenaLayout other = BestFit(buffers, moved);
    const Excess excess = ExcessOf(buffers, other, goal_bytes);
    if (lowest < excess) continue;
    lowest = excess;
    order = std::move(moved);
    layout = std::move(other);
  }
  return layout;
}

// From each of `orders` in turn.
ArenaLayout SearchFromAll(const std::vector<Buffer>& buffers, std::vector<std::vector<int>> orders,
                          ArenaLayout best, int64_t goal_bytes) {
  const int64_t count = static_cast<int64_t>(buffers.size());
  const int64_t rounds = std::min(kMaxSearchRounds, kSearchBudget / (count * count + 1));
  const RandomStream random(1, "arena orders");
  uint64_t drawn = 0;
  const int64_t share = rounds / static_cast<int64_t>(orders.size());
  for (int time = 0; time < kSearchTimes; ++time) {
    for (std::vector<int>& order : orders) {
      ArenaLayout layout = SearchOrders(buffers, order, goal_bytes, share, random, &drawn);
      if (layout.bytes < best.bytes) best = std::move(layout);
      if (best.bytes <= kGoodEnough * static_cast<double>(goal_bytes)) return best;
    }
  }
  return best;
}

// The same buffers in a time that runs backwards.
std::vector<Buffer> Reversed(std::vector<Buffer> buffers) {
  const int end = NodesOf(buffers) - 1;
  for (Buffer& buffer : buffers) {
    buffer.first = end - std::exchange(buffer.last, end - buffer.first);
  }
  return buffers;
}

bool TakesLess(const ArenaLayout& a, const ArenaLayout& b) { return a.bytes < b.bytes; }

}  // namespace

ArenaLayout PlanArena(const std::vector<Buffer>& buffers) {
  const Crowding crowding = CrowdingOf(buffers);
  const int64_t count = static_cast<int64_t>(buffers.size());
  const bool compares = buffers.size() <= kMaxCompared;
  const auto place = compares ? BestFit : Stack;
  ArenaLayout best;
  best.bytes = std::numeric_limits<int64_t>::max();
  if (!compares) best = std::min(FitInTime(buffers), FitInTime(Reversed(buffers)), TakesLess);
  std::vector<std::vector<int>> orders = Orders(buffers, crowding);
  for (const std::vector<int>& order : orders) {
    ArenaLayout layout = place(buffers, order);
    if (layout.bytes < best.bytes) best = std::move(layout);
  }
  const int64_t rounds = std::min(
      kMaxRounds, compares ? kImprovementBudget / (count * count + 1) : kStackingBudget / count);
  for (std::vector<int>& order : orders) {
    ArenaLayout layout = place(buffers, order);
    const int64_t share = rounds / static_cast<int64_t>(orders.size());
    for (int64_t round = 0; round < share; ++round) {
      if (best.bytes == crowding.lower_bound_bytes) return best;
      order = HighestFirst(buffers, layout, std::move(order));
      layout = place(buffers, order);
      if (layout.bytes < best.bytes) best = layout;
    }
  }
  const int64_t bound = crowding.lower_bound_bytes;
  if (!compares || best.bytes <= kGoodEnough * static_cast<double>(bound)) return best;
  return SearchFromAll(buffers, orders, std::move(best), bound);
}

}  // namespace pocketune
