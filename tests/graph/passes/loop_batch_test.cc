#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "graph/memory/liveness.h"
#include "graph/memory/loop_memory.h"
#include "graph/memory/order_search.h"
#include "graph/passes/pass.h"
#include "tests/graph/memory/test_graphs.h"

namespace pocketune {
namespace {

constexpr int64_t kCached = 4096;

std::vector<NodeId> OrderOf(const Graph& graph) {
  std::vector<NodeId> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// As the passes behind count it, of the graph with a loop at `first`.
int64_t PeakWith(Graph graph, const LoopPlan& plan, size_t first) {
  std::vector<NodeId> order = OrderOf(graph);
  std::copy(plan.order.begin(), plan.order.end(), order.begin() + static_cast<int64_t>(first));
  ApplyOrder(graph, order);
  const size_t last = first + plan.looped - 1;
  graph.loops = {{static_cast<NodeId>(first), static_cast<NodeId>(last), plan.parts}};
  MarkParts(graph);
  PassContext context;
  EXPECT_TRUE(RunMarkInplace(graph, context).ok());
  return LivenessOf(graph).lower_bound_bytes;
}

TEST(LoopMemoryTest, EachLoopIsCountedAsTheWholeGraphIs) {
  Graph graph = testing::TrainingGraph(4, 12, 4).graph;
  ApplyOrder(graph, SmallestPeakOrder(graph));  // updates stand between gradients
  const std::vector<NodeId> order = OrderOf(graph);
  for (NodeId n : order) graph.nodes[n].scratch_bytes = 100 * (n % 7);
  const LoopFinder finder(graph, kCached);
  int loops = 0, left_out = 0;
  for (size_t first = 0; first < order.size(); ++first) {
    const LoopPlan plan = finder.StartingAt(std::span(order).subspan(first));
    if (plan.looped == 0) continue;
    LoopMemory memory(graph, std::numeric_limits<int64_t>::max());
    for (size_t i = 0; i < first; ++i) memory.Run(order[i]);
    std::vector<Node> nodes;
    for (size_t i = 0; i < plan.looped; ++i) nodes.push_back(graph.nodes[plan.order[i]]);
    ASSERT_TRUE(memory.RunLoop(plan, nodes));
    EXPECT_EQ(memory.peak_bytes(), PeakWith(graph, plan, first)) << "from node " << first;
    ++loops;
    left_out += plan.order.size() > plan.looped ? 1 : 0;
  }
  EXPECT_GT(loops, 10);
  EXPECT_GT(left_out, 3);
}

}  // namespace
}  // namespace pocketune
