#include "graph/memory/eager_order.h"

#include <algorithm>
#include <set>
#include <utility>

namespace pocketune {
namespace {

constexpr size_t kMaxChain = 6;  // nodes that are looked ahead

// What a ready node's chain needs depends on which readers of the values that it reads have run,
// and on what else its followers wait for. A node is looked at again only when one of these has
// changed since: `watchers` have noted it.
class Search {
 public:
  Search(const LiveSet& start, const Edges& before, const Order& base, int64_t cap_bytes)
      : base_(base),
        after_(ReversedEdges(before)),
        cap_bytes_(cap_bytes),
        live_(start),
        missing_(before.size()),
        rank_(before.size()),
        states_(before.size()),
        value_watchers_(start.values()),
        node_watchers_(before.size()) {
    for (size_t n = 0; n < before.size(); ++n) missing_[n] = static_cast<int>(before[n].size());
    for (size_t i = 0; i < base.size(); ++i) rank_[base[i]] = static_cast<int>(i);
    for (NodeId node : base) {
      if (missing_[node] == 0) MakeReady(node);
    }
  }

  Order Run() {
    while (!ready_.empty()) {
      for (NodeId node : std::exchange(changed_, {})) {
        if (states_[node].ready && !states_[node].known) Evaluate(node);
      }
      // The first of the lowest in the base order; where that is above the cap, all are.
      const bool shrinks =
          !shrinking_.empty() && live_.live_bytes() + shrinking_.begin()->first <= cap_bytes_;
      Take(base_[shrinks ? shrinking_.begin()->second : *ready_.begin()]);
    }
    return std::move(order_);
  }

 private:
  static constexpr int64_t kGrows = kNoCap;

  struct State {
    bool ready = false;
    bool known = false;  // `growth` holds
    int version = 0;     // of the evaluation: what it has noted before is void
    int64_t growth = 0;  // peak of the chain over what is alive now, or kGrows
  };
  struct Watcher {
    NodeId node;
    int version;
  };

  void MakeReady(NodeId node) {
    states_[node].ready = true;
    ready_.insert(rank_[node]);
    changed_.push_back(node);
  }

  // Finds the shortest chain that starts with `node` and leaves less alive than there is now.
  void Evaluate(NodeId node) {
    State& state = states_[node];
    ++state.version;
    state.known = true;
    const int64_t before = live_.live_bytes();
    Order chain;
    int64_t peak = 0;
    bool shrinks = false;
    for (NodeId next = node; next != kNone && !shrinks && chain.size() < kMaxChain;) {
      Watch(next, {node, state.version});
      peak = std::max(peak, live_.BytesDuring(next));
      live_.Run(next);
      chain.push_back(next);
      shrinks = live_.live_bytes() < before;
      const NodeId last = std::exchange(next, kNone);
      for (NodeId follower : after_[last]) {
        if (--missing_[follower] == 0 && (next == kNone || rank_[follower] < rank_[next])) {
          next = follower;
        }
      }
    }
    for (size_t i = chain.size(); i-- > 0;) {
      live_.Undo(chain[i]);
      for (NodeId follower : after_[chain[i]]) ++missing_[follower];
    }
    state.growth = shrinks ? peak - before : kGrows;
    if (shrinks) shrinking_.insert({state.growth, rank_[node]});
  }

  // `watcher`'s chain runs `node`.
  void Watch(NodeId node, const Watcher& watcher) {
    for (ValueId root : live_.reads(node)) {
      if (live_.in_arena(root)) value_watchers_[root].push_back(watcher);
    }
    for (NodeId follower : after_[node]) node_watchers_[follower].push_back(watcher);
  }

  void Notify(std::vector<Watcher>& watchers) {
    for (const Watcher& watcher : watchers) {
      State& state = states_[watcher.node];
      if (!state.ready || !state.known || state.version != watcher.version) continue;
      Forget(watcher.node);
      changed_.push_back(watcher.node);
    }
    watchers.clear();
  }

  void Forget(NodeId node) {
    State& state = states_[node];
    if (state.known && state.growth != kGrows) shrinking_.erase({state.growth, rank_[node]});
    state.known = false;
  }

  void Take(NodeId node) {
    Forget(node);
    states_[node].ready = false;
    ready_.erase(rank_[node]);
    live_.Run(node);
    order_.push_back(node);
    for (ValueId root : live_.reads(node)) Notify(value_watchers_[root]);
    for (NodeId follower : after_[node]) {
      Notify(node_watchers_[follower]);
      if (--missing_[follower] == 0) MakeReady(follower);
    }
  }

  const Order& base_;
  const Edges after_;
  const int64_t cap_bytes_;
  LiveSet live_;
  std::vector<int> missing_;  // per node: predecessors that have not run
  std::vector<int> rank_;     // per node: position in the base order
  std::vector<State> states_;
  std::vector<std::vector<Watcher>> value_watchers_;
  std::vector<std::vector<Watcher>> node_watchers_;
  std::vector<NodeId> changed_;                  // to be looked at before the next choice
  std::set<int> ready_;                          // ranks
  std::set<std::pair<int64_t, int>> shrinking_;  // growth and rank of the ready ones that shrink
  Order order_;
};

}  // namespace

Edges ReversedEdges(const Edges& edges) {
  Edges reversed(edges.size());
  for (size_t n = 0; n < edges.size(); ++n) {
    for (NodeId before : edges[n]) reversed[before].push_back(static_cast<NodeId>(n));
  }
  return reversed;
}

Order EagerOrder(const LiveSet& start, const Edges& before, const Order& base, int64_t cap_bytes) {
  return Search(start, before, base, cap_bytes).Run();
}

}  // namespace pocketune
