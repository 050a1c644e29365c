#include "graph/memory/liveness.h"

#include "graph/ir/builder.h"
#include "graph/memory/live_set.h"
#include "gtest/gtest.h"
#include "tests/graph/memory/test_graphs.h"

namespace pocketune {
namespace {

const Buffer& BufferOf(const Liveness& live, ValueId id) {
  return live.buffers[live.buffer_of[id]];
}

TEST(LivenessTest, InputsLiveFromTheStartToTheirLastReader) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{17}});
  const ValueId late = graph.AddInput("late", {Shape{17}});
  const ValueId y = b.Op(OpKind::kRelu, {x});
  const ValueId z = b.Op(OpKind::kAdd, {y, late});
  graph.outputs = {{"z", z}};
  const Liveness live = LivenessOf(graph);
  EXPECT_EQ(BufferOf(live, x).first, 0);
  EXPECT_EQ(BufferOf(live, x).last, 0);
  EXPECT_EQ(BufferOf(live, late).first, 0);
  EXPECT_EQ(BufferOf(live, late).last, 1);
}

TEST(LivenessTest, OutputsLiveToTheEnd) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{17}});
  const ValueId y = b.Op(OpKind::kRelu, {x});
  const ValueId z = b.Op(OpKind::kTanh, {x});
  b.Op(OpKind::kExp, {z});
  graph.outputs = {{"y", y}};
  const Liveness live = LivenessOf(graph);
  EXPECT_EQ(BufferOf(live, y).first, 0);
  EXPECT_EQ(BufferOf(live, y).last, 2);
  EXPECT_EQ(BufferOf(live, z).last, 2);
}

TEST(LivenessTest, ViewsShareTheirOperandsBuffer) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{6}});
  const ValueId y = b.Op(OpKind::kRelu, {x});
  const ValueId view = b.Reshape(y, Shape{2, 3});
  const ValueId z = b.Op(OpKind::kTanh, {view});
  graph.outputs = {{"z", z}};
  const Liveness live = LivenessOf(graph);
  EXPECT_EQ(live.buffer_of[view], live.buffer_of[y]);
  EXPECT_EQ(BufferOf(live, y).first, 0);
  EXPECT_EQ(BufferOf(live, y).last, 2);
}

TEST(LivenessTest, ViewOfAParameterIsACopyInTheArena) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId w = graph.AddParam("w", Shape{6}, ParamRole::kWeight, nullptr);
  const ValueId view = b.Reshape(w, Shape{2, 3});
  graph.outputs = {{"z", b.Op(OpKind::kTanh, {view})}};
  const Liveness live = LivenessOf(graph);
  EXPECT_EQ(live.buffer_of[w], kNone);
  ASSERT_NE(live.buffer_of[view], kNone);
  EXPECT_EQ(BufferOf(live, view).root, view);
}

TEST(LivenessTest, InPlaceResultsExtendTheirOperandsBuffer) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{17}});
  const ValueId y = b.Op(OpKind::kRelu, {x});
  const ValueId z = b.Op(OpKind::kTanh, {y});
  graph.outputs = {{"z", b.Op(OpKind::kExp, {z})}};
  graph.nodes[1].in_place = true;
  const Liveness live = LivenessOf(graph);
  EXPECT_EQ(live.buffer_of[z], live.buffer_of[y]);
  EXPECT_EQ(BufferOf(live, y).last, 2);
}

TEST(LivenessTest, UnreadResultsAndParametersHaveNoBuffer) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{2, 3}});
  const ValueId w = graph.AddParam("w", Shape{3}, ParamRole::kNormScale, nullptr);
  const std::vector<ValueId> norm = b.Multi(OpKind::kBatchNorm, {x, w, w}, NormAttrs{});
  const ValueId updated = b.Op(OpKind::kSgd, {w, norm[1]});
  graph.outputs = {{"y", norm[0]}};
  ASSERT_TRUE(b.status().ok());
  const Liveness live = LivenessOf(graph);
  EXPECT_NE(live.buffer_of[norm[0]], kNone);
  EXPECT_NE(live.buffer_of[norm[1]], kNone);
  EXPECT_EQ(live.buffer_of[norm[2]], kNone);
  EXPECT_EQ(live.buffer_of[w], kNone);
  EXPECT_EQ(live.buffer_of[updated], kNone);
  EXPECT_EQ(live.roots[updated], w);
}

TEST(LivenessTest, LowerBoundIsTheLargestSumOfAlignedLiveBytes) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{17}});            // 68 bytes, 128 aligned
  const ValueId y = b.Op(OpKind::kRelu, {x});                    // node 0: x y
  const ValueId z = b.Op(OpKind::kConcat, {y, y}, AxisAttrs{});  // node 1: y z (136 -> 192)
  graph.outputs = {{"z", z}};
  graph.nodes[0].scratch_bytes = 1;
  const Liveness live = LivenessOf(graph);
  EXPECT_EQ(live.live_bytes, (std::vector<int64_t>{128 + 128 + 64, 128 + 192}));
  EXPECT_EQ(live.lower_bound_bytes, 320);
  EXPECT_EQ(live.buffers.back().scratch_of, 0);
}

TEST(LivenessTest, SecondOperandFitsInPlaceForAddAndMulAlone) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{3}});
  const ValueId y = b.Op(OpKind::kRelu, {x});
  b.Op(OpKind::kAdd, {x, y});
  b.Op(OpKind::kSub, {x, y});
  const std::vector<ValueId> roots = AliasRootsOf(graph);
  EXPECT_FALSE(FitsInPlace(graph, roots, graph.nodes[0], 0)) << "an input is not overwritten";
  EXPECT_FALSE(FitsInPlace(graph, roots, graph.nodes[1], 0));
  EXPECT_TRUE(FitsInPlace(graph, roots, graph.nodes[1], 1));
  EXPECT_FALSE(FitsInPlace(graph, roots, graph.nodes[2], 1));
}

TEST(LivenessTest, OpsThatMixElementsDoNotOverwriteWhatTheyReadTwice) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId y = b.Op(OpKind::kTanh, {graph.AddInput("x", {Shape{2, 3}})});
  b.Op(OpKind::kSoftmaxGrad, {y, y});
  b.Op(OpKind::kReluGrad, {y, y});
  const std::vector<ValueId> roots = AliasRootsOf(graph);
  EXPECT_FALSE(FitsInPlace(graph, roots, graph.nodes[1], 0));
  EXPECT_TRUE(FitsInPlace(graph, roots, graph.nodes[2], 0));
}

TEST(LiveSetTest, UndoBringsEveryStateBack) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Graph graph = testing::RandomMemoryGraph(seed, 30);
    LiveSet live(graph);
    std::vector<int64_t> before;
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      before.push_back(live.live_bytes());
      live.Run(static_cast<NodeId>(n));
    }
    for (size_t n = graph.nodes.size(); n-- > 0;) {
      live.Undo(static_cast<NodeId>(n));
      ASSERT_EQ(live.live_bytes(), before[n]) << "seed " << seed << " node " << n;
    }
  }
}

}  // namespace
}  // namespace pocketune
