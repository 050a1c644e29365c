// A graph for a batch, made one for a single sample.
#include <gtest/gtest.h>

#include "graph/ir/builder.h"
#include "graph/ir/verifier.h"
#include "graph/passes/micro_batch.h"

namespace pocketune {
namespace {

constexpr int kBatch = 6;

HostData Values(int64_t count) {
  return std::make_shared<std::vector<float>>(static_cast<size_t>(count), 0.5f);
}

// [6,4,3] as rows of twelve, times a weight.
Graph Rows() {
  Graph graph;
  graph.name = "rows";
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("image", {Shape{kBatch, 4, 3}, DType::kF32});
  const ValueId w = graph.AddParam("w", Shape{12, 5}, ParamRole::kWeight, Values(60));
  const ValueId rows = b.Op(OpKind::kReshape, {x}, ShapeAttrs{.shape = {kBatch, 12}});
  graph.outputs.push_back({"logits", b.Op(OpKind::kMatmul, {rows, w}, MatmulAttrs{})});
  graph.outputs.push_back({"rows", rows});
  EXPECT_TRUE(b.status().ok()) << b.status();
  return graph;
}

TEST(SingleSampleTest, HasOneRowOfEveryInputAndOutput) {
  const Graph rows = Rows();
  const absl::StatusOr<Graph> one = SingleSample(rows, kBatch);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_TRUE(Verify(*one).ok()) << Verify(*one);
  EXPECT_EQ(one->nodes.size(), rows.nodes.size());
  EXPECT_EQ(one->shape(one->FindValue("image", ValueKind::kInput)), (Shape{1, 4, 3}));
  EXPECT_EQ(one->shape(one->FindOutput("logits")), (Shape{1, 5}));
  EXPECT_EQ(one->shape(one->FindOutput("rows")), (Shape{1, 12}));
  EXPECT_EQ(one->shape(one->FindValue("w", ValueKind::kParam)), (Shape{12, 5}));
}

TEST(SingleSampleTest, SharesTheParametersValues) {
  const Graph rows = Rows();
  const Graph one = SingleSample(rows, kBatch).value();
  EXPECT_EQ(one.value(one.FindValue("w", ValueKind::kParam)).data,
            rows.value(rows.FindValue("w", ValueKind::kParam)).data);
}

TEST(SingleSampleTest, DoesNotExistWhereSamplesAreMixed) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("image", {Shape{kBatch, 4}, DType::kF32});
  const ValueId mean = b.Op(OpKind::kReduceMean, {x}, ReduceAttrs{.axes = 1, .keep_dims = true});
  graph.outputs.push_back({"logits", b.Op(OpKind::kSub, {x, mean})});
  ASSERT_TRUE(b.status().ok()) << b.status();
  EXPECT_TRUE(absl::IsUnimplemented(SingleSample(graph, kBatch).status()));
}

}  // namespace
}  // namespace pocketune
