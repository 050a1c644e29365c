#include "graph/memory/batch_loops.h"

#include <gtest/gtest.h>

#include <numeric>

#include "graph/ir/builder.h"
#include "graph/memory/liveness.h"
#include "graph/memory/order_search.h"

namespace pocketune {
namespace {

constexpr int64_t kCached = 1000;

// From the first node on.
LoopPlan LoopOf(const Graph& graph) {
  std::vector<NodeId> nodes(graph.nodes.size());
  std::iota(nodes.begin(), nodes.end(), 0);
  return LoopFinder(graph, kCached).StartingAt(nodes);
}

TEST(BatchLoopsTest, ALoopEndsWithItsLastLargeNode) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{8, 64}});  // 2048 bytes
  const ValueId y = b.Op(OpKind::kTanh, {b.Op(OpKind::kRelu, {x})});
  const ValueId small = b.Op(OpKind::kReduceSum, {y}, ReduceAttrs{.axes = 2});
  graph.outputs = {{"z", b.Op(OpKind::kTanh, {small})}};
  const LoopPlan plan = LoopOf(graph);
  EXPECT_EQ(plan.looped, 3u);
  EXPECT_EQ(plan.parts, 4);  // of 512 bytes: a half is larger than the cache
}

TEST(BatchLoopsTest, ThereIsNoneWhereNothingIsReadAgain) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{8, 64}});
  graph.outputs = {{"y", b.Op(OpKind::kRelu, {x})}};
  EXPECT_EQ(LoopOf(graph).looped, 0u);
}

TEST(BatchLoopsTest, ThereIsNoneForOneSample) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{1, 512}});
  graph.outputs = {{"y", b.Op(OpKind::kTanh, {b.Op(OpKind::kRelu, {x})})}};
  EXPECT_EQ(LoopOf(graph).looped, 0u);
}

// The second chain shares nothing with the first: together they would keep more alive.
TEST(BatchLoopsTest, UnrelatedNodesStayOutside) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{8, 64}});
  const ValueId other = graph.AddInput("other", {Shape{8, 64}});
  const ValueId first = b.Op(OpKind::kRelu, {x});
  const ValueId unrelated = b.Op(OpKind::kRelu, {other});
  const ValueId y = b.Op(OpKind::kTanh, {first});
  const ValueId z = b.Op(OpKind::kExp, {unrelated});
  graph.outputs = {{"y", y}, {"z", z}};
  const LoopPlan plan = LoopOf(graph);
  EXPECT_EQ(plan.order, (std::vector<NodeId>{0, 2, 1}));
  EXPECT_EQ(plan.looped, 2u);
}

// However many of them could join.
TEST(BatchLoopsTest, ALoopEndsBeforeALongStretchOfUnrelatedNodes) {
  for (const int unrelated : {48, 49}) {
    Graph graph;
    GraphBuilder b(&graph);
    const ValueId x = graph.AddInput("x", {Shape{8, 64}});
    const ValueId y = b.Op(OpKind::kTanh, {b.Op(OpKind::kRelu, {x})});
    ValueId other = graph.AddInput("other", {Shape{8, 64}});
    for (int i = 0; i < unrelated; ++i) other = b.Op(OpKind::kExp, {other});
    graph.outputs = {{"z", b.Op(OpKind::kExp, {y})}, {"other", other}};
    EXPECT_EQ(LoopOf(graph).looped, unrelated == 48 ? 3u : 2u);
  }
}

TEST(BatchLoopsTest, ValuesOfALoopAloneHaveRoomForAPart) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{8, 64}});
  const ValueId inner = b.Op(OpKind::kRelu, {x});
  const ValueId view = b.Reshape(inner, Shape{8, 8, 8});
  const ValueId kept = b.Op(OpKind::kTanh, {view});
  const ValueId sum = b.Op(OpKind::kReduceSum, {view}, ReduceAttrs{.axes = 7});
  graph.outputs = {{"kept", kept}, {"sum", sum}};
  graph.loops = {{0, 3, 4}};
  MarkParts(graph);
  EXPECT_EQ(graph.value(inner).parts, 4);
  EXPECT_EQ(graph.value(view).parts, 4);
  EXPECT_EQ(graph.value(kept).parts, 1);
  EXPECT_EQ(graph.value(sum).parts, 1);
  const Liveness live = LivenessOf(graph);
  const Buffer& whole = live.buffers[live.buffer_of[kept]];
  EXPECT_EQ(whole.first, 0);  // each part writes its share
  EXPECT_EQ(live.buffers[live.buffer_of[inner]].bytes, 512);
  EXPECT_EQ(live.buffers[live.buffer_of[x]].last, 3);  // each part reads its share
}

}  // namespace
}  // namespace pocketune
