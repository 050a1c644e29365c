#include "graph/memory/eager_order.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "graph/memory/order_search.h"
#include "gtest/gtest.h"
#include "tests/graph/memory/test_graphs.h"

namespace pocketune {
namespace {

// The definition, word for word: looks at every ready node before each choice.
class ByDefinition {
 public:
  ByDefinition(const Graph& graph, const Order& base, int64_t cap_bytes)
      : live_(graph), base_(base), cap_bytes_(cap_bytes), before_(DependenciesOf(graph)) {
    done_.assign(before_.size(), false);
  }

  Order Run() {
    while (order_.size() < base_.size()) {
      NodeId first = kNone, chosen = kNone;
      int64_t lowest = kNoCap;
      for (NodeId node : base_) {
        if (!IsReady(node)) continue;
        if (first == kNone) first = node;
        const int64_t peak = PeakOfChain(node);
        if (peak < lowest && peak <= cap_bytes_) {
          lowest = peak;
          chosen = node;
        }
      }
      Do(chosen == kNone ? first : chosen);
    }
    return order_;
  }

 private:
  bool IsReady(NodeId node) const {
    return !done_[node] && std::all_of(before_[node].begin(), before_[node].end(),
                                       [&](NodeId n) { return done_[n]; });
  }
  void Do(NodeId node) {
    live_.Run(node);
    done_[node] = true;
    order_.push_back(node);
  }
  void Undo() {
    live_.Undo(order_.back());
    done_[order_.back()] = false;
    order_.pop_back();
  }

  // kNoCap where no chain of at most six leaves less alive.
  int64_t PeakOfChain(NodeId node) {
    const int64_t before = live_.live_bytes();
    const size_t length = order_.size();
    int64_t peak = 0;
    bool shrinks = false;
    while (node != kNone && !shrinks && order_.size() - length < 6) {
      peak = std::max(peak, live_.BytesDuring(node));
      Do(node);
      shrinks = live_.live_bytes() < before;
      const auto follows = [&](NodeId n) {
        return IsReady(n) && std::count(before_[n].begin(), before_[n].end(), node) > 0;
      };
      const auto next = std::find_if(base_.begin(), base_.end(), follows);
      node = next == base_.end() ? kNone : *next;
    }
    while (order_.size() > length) Undo();
    return shrinks ? peak : kNoCap;
  }

  LiveSet live_;
  const Order& base_;
  const int64_t cap_bytes_;
  const Edges before_;
  std::vector<bool> done_;
  Order order_;
};

void ExpectByDefinition(const Graph& graph) {
  const Edges before = DependenciesOf(graph);
  Order base(graph.nodes.size());
  std::iota(base.begin(), base.end(), 0);
  const int64_t peak = PeakBytesOf(graph, base);
  for (const int64_t cap : {kNoCap, peak, peak / 2, int64_t{0}}) {
    ASSERT_EQ(EagerOrder(LiveSet(graph), before, base, cap), ByDefinition(graph, base, cap).Run())
        << "cap " << cap;
  }
}

TEST(EagerOrderTest, IsWhatItsDefinitionSaysOnRandomGraphs) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    ExpectByDefinition(testing::RandomMemoryGraph(seed, 41));
  }
}

TEST(EagerOrderTest, IsWhatItsDefinitionSaysOnATrainingGraph) {
  ExpectByDefinition(testing::TrainingGraph(2, 16, 5).graph);
}

}  // namespace
}  // namespace pocketune
