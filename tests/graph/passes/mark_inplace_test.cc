#include <gtest/gtest.h>

#include <numeric>

#include "graph/ir/builder.h"
#include "graph/ir/verifier.h"
#include "graph/memory/live_set.h"
#include "graph/memory/liveness.h"
#include "graph/passes/pass.h"
#include "tests/graph/memory/test_graphs.h"

namespace pocketune {
namespace {

Graph Marked(Graph graph) {
  PassContext context;
  EXPECT_TRUE(RunMarkInplace(graph, context).ok());
  return graph;
}

TEST(MarkInplaceTest, RandomGraphsStayValidAndNeedWhatTheLiveSetCounts) {
  int marked = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Graph graph = testing::RandomMemoryGraph(seed, 41);
    std::vector<NodeId> order(graph.nodes.size());
    std::iota(order.begin(), order.end(), 0);
    const int64_t peak = PeakBytesOf(graph, order);
    const Graph after = Marked(graph);
    ASSERT_TRUE(Verify(after).ok()) << "seed " << seed << ": " << Verify(after);
    ASSERT_EQ(LivenessOf(after).lower_bound_bytes, peak) << "seed " << seed;
    for (const Node& node : after.nodes) marked += node.in_place ? 1 : 0;
  }
  EXPECT_GT(marked, 100);
}

TEST(MarkInplaceTest, OutputsAreNotOverwritten) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId y = b.Op(OpKind::kExp, {graph.AddInput("x", {Shape{7}})});
  const ValueId z = b.Op(OpKind::kRelu, {y});
  graph.outputs = {{"y", y}, {"z", z}};
  EXPECT_FALSE(Marked(graph).nodes[1].in_place);
}

TEST(MarkInplaceTest, AViewKeepsItsOperandAlive) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId y = b.Op(OpKind::kExp, {graph.AddInput("x", {Shape{6}})});
  const ValueId view = b.Reshape(y, Shape{2, 3});
  const ValueId z = b.Op(OpKind::kRelu, {y});
  graph.outputs = {{"z", z}, {"sum", b.Op(OpKind::kTanh, {view})}};
  const Graph after = Marked(graph);
  EXPECT_FALSE(after.nodes[2].in_place);
  EXPECT_TRUE(after.nodes[3].in_place);
}

TEST(MarkInplaceTest, UnreadResultsTakeNoBytes) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{5, 3}});
  const ValueId c = graph.AddInput("c", {Shape{3}});
  const ValueId dy = b.Op(OpKind::kExp, {x});
  const std::vector<ValueId> grads = b.Multi(OpKind::kBatchNormGrad, {dy, x, c, c, c}, NormAttrs{});
  graph.outputs = {{"dscale", grads[1]}};
  ASSERT_TRUE(b.status().ok()) << b.status();
  EXPECT_FALSE(Marked(graph).nodes[1].in_place);
}

}  // namespace
}  // namespace pocketune
