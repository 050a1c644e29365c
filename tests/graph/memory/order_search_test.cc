#include "graph/memory/order_search.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "graph/memory/live_set.h"
#include "gtest/gtest.h"
#include "tests/graph/memory/test_graphs.h"

namespace pocketune {
namespace {

std::vector<NodeId> GivenOrder(const Graph& graph) {
  std::vector<NodeId> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

void ExpectValid(const Graph& graph, const std::vector<NodeId>& order) {
  const std::vector<std::vector<NodeId>> before = DependenciesOf(graph);
  std::vector<int> position(graph.nodes.size(), kNone);
  for (size_t i = 0; i < order.size(); ++i) position[order[i]] = static_cast<int>(i);
  for (size_t n = 0; n < before.size(); ++n) {
    ASSERT_NE(position[n], kNone) << "node " << n << " is missing";
    for (NodeId m : before[n]) ASSERT_LT(position[m], position[n]);
  }
}

// Tries every order by backtracking, with none of the code under test but the byte count.
int64_t PeakByExhaustion(const Graph& graph) {
  const std::vector<std::vector<NodeId>> before = DependenciesOf(graph);
  LiveSet live(graph);
  std::vector<bool> done(graph.nodes.size(), false);
  int64_t best = std::numeric_limits<int64_t>::max();
  const auto search = [&](auto&& self, size_t count, int64_t peak) -> void {
    if (peak >= best) return;
    if (count == graph.nodes.size()) best = peak;
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      if (done[n] ||
          !std::all_of(before[n].begin(), before[n].end(), [&](NodeId m) { return done[m]; })) {
        continue;
      }
      const NodeId node = static_cast<NodeId>(n);
      const int64_t during = live.BytesDuring(node);
      live.Run(node);
      done[n] = true;
      self(self, count + 1, std::max(peak, during));
      done[n] = false;
      live.Undo(node);
    }
  };
  search(search, 0, 0);
  return best;
}

TEST(OrderSearchTest, ExactOrderMatchesTryingEveryOrder) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Graph graph = testing::RandomMemoryGraph(seed, 8);
    const std::vector<NodeId> order = ExactOrder(graph);
    ExpectValid(graph, order);
    ASSERT_EQ(PeakBytesOf(graph, order), PeakByExhaustion(graph)) << "seed " << seed;
  }
}

TEST(OrderSearchTest, HeuristicIsValidNeverWorseAndNearTheOptimum) {
  int64_t found = 0;
  int64_t optimal = 0;
  int64_t given = 0;
  int missed = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Graph graph = testing::RandomMemoryGraph(seed, 16);
    const std::vector<NodeId> order = SmallestPeakOrder(graph);
    ExpectValid(graph, order);
    const int64_t peak = PeakBytesOf(graph, order);
    const int64_t exact = PeakBytesOf(graph, ExactOrder(graph));
    ASSERT_LE(peak, PeakBytesOf(graph, GivenOrder(graph))) << "seed " << seed;
    ASSERT_GE(peak, exact) << "seed " << seed;
    found += peak;
    optimal += exact;
    given += PeakBytesOf(graph, GivenOrder(graph));
    missed += peak > exact ? 1 : 0;
  }
  const double gap = static_cast<double>(found) / static_cast<double>(optimal);
  RecordProperty("given_over_optimum", std::to_string(double(given) / double(optimal)));
  RecordProperty("found_over_optimum", std::to_string(gap));
  RecordProperty("not_optimal_of_200", missed);
  EXPECT_LE(gap, 1.02);
}

TEST(OrderSearchTest, LargeRandomGraphsStayValidAndNeverGetWorse) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Graph graph = testing::RandomMemoryGraph(seed, 211);
    const std::vector<NodeId> order = SmallestPeakOrder(graph);
    ExpectValid(graph, order);
    ASSERT_LE(PeakBytesOf(graph, order), PeakBytesOf(graph, GivenOrder(graph)));
    ASSERT_EQ(order, SmallestPeakOrder(graph)) << "not deterministic";
  }
}

TEST(OrderSearchTest, UpdatesFollowTheirGradientsWhereActivationsAreLarge) {
  const testing::TrainingGraph training(2, 64, 5);
  Graph graph = training.graph;
  const std::vector<NodeId> order = SmallestPeakOrder(graph);
  ExpectValid(graph, order);
  const int64_t before = PeakBytesOf(graph, GivenOrder(graph));
  ApplyOrder(graph, order);
  const int64_t after = PeakBytesOf(graph, GivenOrder(graph));
  RecordProperty("given_peak_bytes", std::to_string(before));
  RecordProperty("found_peak_bytes", std::to_string(after));
  EXPECT_LT(after, before);
  int waiting = 0;  // gradients of weights that are alive at once
  int most_waiting = 0;
  for (const Node& node : graph.nodes) {
    if (node.op == OpKind::kConv2dGradFilter) most_waiting = std::max(most_waiting, ++waiting);
    if (node.op == OpKind::kMomentum) --waiting;
  }
  EXPECT_LE(most_waiting, 2);
}

TEST(OrderSearchTest, KeepsReadersBeforeAnInPlaceNodeThatIsMarkedAlready) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId y = b.Op(OpKind::kTanh, {graph.AddInput("x", {Shape{7}})});
  const ValueId other = b.Op(OpKind::kExp, {y});
  const ValueId relu = b.Op(OpKind::kRelu, {y});
  graph.nodes[2].in_place = true;
  graph.outputs = {{"sum", b.Op(OpKind::kAdd, {relu, other})}};
  EXPECT_EQ(DependenciesOf(graph)[2], (std::vector<NodeId>{0, 1}));
}

TEST(OrderSearchTest, ApplyOrderMovesNodesAndTheirProducers) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{7}});
  const ValueId y = b.Op(OpKind::kTanh, {x});
  const ValueId z = b.Op(OpKind::kExp, {x});
  ApplyOrder(graph, {1, 0});
  EXPECT_EQ(graph.nodes[0].op, OpKind::kExp);
  EXPECT_EQ(graph.value(z).producer, 0);
  EXPECT_EQ(graph.value(y).producer, 1);
}

}  // namespace
}  // namespace pocketune
