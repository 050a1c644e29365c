#include "graph/memory/order_search.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "engine/base/check.h"
#include "graph/memory/eager_order.h"
#include "graph/memory/live_set.h"
#include "graph/memory/liveness.h"

namespace pocketune {
namespace {

constexpr int kWindow = 10;    // nodes whose order is searched exactly at a time
constexpr int kMaxSweeps = 4;  // of the window over the order

// What orders are compared by: the peak, then how much is alive how long.
struct Cost {
  int64_t peak = 0;
  int64_t area = 0;
  void Add(int64_t bytes) {
    peak = std::max(peak, bytes);
    area += bytes;
  }
  friend bool operator<(const Cost& a, const Cost& b) {
    return a.peak != b.peak ? a.peak < b.peak : a.area < b.area;
  }
};

// Of running `order` next; leaves `live` as it was.
Cost CostOf(LiveSet& live, const Order& order) {
  Cost cost;
  for (NodeId node : order) {
    cost.Add(live.BytesDuring(node));
    live.Run(node);
  }
  for (size_t i = order.size(); i-- > 0;) live.Undo(order[i]);
  return cost;
}

// Exact order of a few consecutive nodes: dynamic programming over the sets that may have run.
class WindowSearch {
 public:
  WindowSearch(LiveSet& live, const Edges& before, const Order& nodes)
      : live_(live), nodes_(nodes), must_(nodes.size(), 0), best_(size_t{1} << nodes.size()) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (size_t j = 0; j < nodes.size(); ++j) {
        const std::vector<NodeId>& edges = before[nodes[i]];
        if (std::binary_search(edges.begin(), edges.end(), nodes[j])) must_[i] |= 1u << j;
      }
    }
  }

  Order Run() {
    Search(0);
    Order order;
    for (uint32_t done = 0; order.size() < nodes_.size();) {
      const int next = best_[done].next;
      order.push_back(nodes_[next]);
      done |= 1u << next;
    }
    return order;
  }

 private:
  struct Best {
    Cost cost;
    int next = kNone;
  };

  // Cheapest way to run what is not in `done`; live_ stands at `done`.
  Cost Search(uint32_t done) {
    Best& best = best_[done];
    if (best.next != kNone || done + 1 == best_.size()) return best.cost;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if ((done >> i & 1) != 0 || (must_[i] & ~done) != 0) continue;
      const int64_t during = live_.BytesDuring(nodes_[i]);
      live_.Run(nodes_[i]);
      Cost cost = Search(done | 1u << i);
      live_.Undo(nodes_[i]);
      cost.Add(during);
      if (best.next == kNone || cost < best.cost) best = {cost, static_cast<int>(i)};
    }
    return best.cost;
  }

  LiveSet& live_;
  const Order& nodes_;
  std::vector<uint32_t> must_;  // per node of the window: which others must have run
  std::vector<Best> best_;      // per set of nodes that have run
};

// Slides a window over the order and replaces its part by the exact best, until nothing changes. A
// window is searched again only if its neighbours have changed what is in it or before it.
Order ImproveInWindows(const LiveSet& start, const Edges& before, Order order) {
  constexpr size_t kStride = kWindow / 2;
  const size_t windows = (order.size() + kStride - 1) / kStride;
  std::vector<bool> stale(windows + 2, true);  // window w: stale[w + 1]
  bool changed = true;
  for (int sweep = 0; sweep < kMaxSweeps && changed; ++sweep) {
    changed = false;
    LiveSet live = start;
    for (size_t w = 0; w < windows; ++w) {
      const size_t begin = w * kStride;
      const size_t end = std::min(order.size(), begin + kWindow);
      if (stale[w + 1]) {
        stale[w + 1] = false;
        const Order part(order.begin() + begin, order.begin() + end);
        const Order better = WindowSearch(live, before, part).Run();
        if (CostOf(live, better) < CostOf(live, part)) {
          std::copy(better.begin(), better.end(), order.begin() + begin);
          changed = stale[w] = stale[w + 2] = true;
        }
      }
      for (size_t i = begin; i < std::min(end, begin + kStride); ++i) live.Run(order[i]);
    }
  }
  return order;
}

// Runs a node only when somebody needs it: for each node that nobody waits for, in the given order,
// first what it depends on.
Order DepthFirstOrder(const Edges& before) {
  const Edges after = ReversedEdges(before);
  std::vector<bool> seen(before.size(), false);
  Order order;
  for (size_t sink = 0; sink < before.size(); ++sink) {
    if (!after[sink].empty()) continue;
    std::vector<std::pair<NodeId, size_t>> stack = {{static_cast<NodeId>(sink), 0}};
    seen[sink] = true;
    while (!stack.empty()) {
      const NodeId node = stack.back().first;
      size_t& next = stack.back().second;
      while (next < before[node].size() && seen[before[node][next]]) ++next;
      if (next == before[node].size()) {
        order.push_back(node);
        stack.pop_back();
      } else {
        const NodeId needed = before[node][next];
        seen[needed] = true;
        stack.push_back({needed, 0});
      }
    }
  }
  return order;
}

}  // namespace

std::vector<std::vector<NodeId>> DependenciesOf(const Graph& graph) {
  Edges before = PredecessorsOf(graph);
  const std::vector<ValueId> roots = AliasRootsOf(graph);
  std::vector<std::vector<NodeId>> readers(graph.values.size());  // so far, per root
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (node.in_place && !node.info().Has(kView)) {
      const std::vector<NodeId>& earlier = readers[roots[node.operands[0]]];
      before[n].insert(before[n].end(), earlier.begin(), earlier.end());
      std::sort(before[n].begin(), before[n].end());
      before[n].erase(std::unique(before[n].begin(), before[n].end()), before[n].end());
    }
    for (ValueId id : node.operands) {
      std::vector<NodeId>& of_root = readers[roots[id]];
      if (of_root.empty() || of_root.back() != static_cast<NodeId>(n)) {
        of_root.push_back(static_cast<NodeId>(n));
      }
    }
  }
  return before;
}

std::vector<NodeId> SmallestPeakOrder(const Graph& graph) {
  LiveSet start(graph);
  const Edges before = DependenciesOf(graph);
  Order best(graph.nodes.size());
  std::iota(best.begin(), best.end(), 0);
  Cost lowest = CostOf(start, best);
  std::set<Order> tried;
  const auto offer = [&](const Order& base) {
    if (!tried.insert(base).second) return;
    Order order = ImproveInWindows(start, before, base);
    const Cost cost = CostOf(start, order);
    if (!(cost < lowest)) return;
    lowest = cost;
    best = std::move(order);
  };
  const Order given = best;
  const Order depth_first = DepthFirstOrder(before);
  for (const Order& base : {given, depth_first}) {
    offer(base);
    offer(EagerOrder(start, before, base, kNoCap));
  }
  offer(EagerOrder(start, before, best, lowest.peak));
  return best;
}

std::vector<NodeId> ExactOrder(const Graph& graph) {
  PT_CHECK(graph.nodes.size() <= 20);
  Order nodes(graph.nodes.size());
  std::iota(nodes.begin(), nodes.end(), 0);
  LiveSet live(graph);
  return WindowSearch(live, DependenciesOf(graph), nodes).Run();
}

void ApplyOrder(Graph& graph, const std::vector<NodeId>& order) {
  std::vector<Node> nodes;
  nodes.reserve(order.size());
  for (NodeId node : order) nodes.push_back(std::move(graph.nodes[node]));
  graph.nodes = std::move(nodes);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId id : graph.nodes[n].results) graph.value(id).producer = static_cast<NodeId>(n);
  }
}

}  // namespace pocketune
