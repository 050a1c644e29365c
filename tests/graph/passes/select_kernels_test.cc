#include <gtest/gtest.h>

#include "graph/ir/builder.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

void DoNothing(const KernelArgs&) {}
bool NeedsConstantWeight(const KernelQuery& query) { return (query.constant_operands & 2) != 0; }
int64_t ScratchOf(const KernelQuery& query) {
  return query.slots * query.results[0].shape.elems() * int64_t{sizeof(float)};
}
constexpr KernelInfo kTable[] = {
    {"test.matmul_packed", OpKind::kMatmul, DoNothing, NeedsConstantWeight, nullptr},
    {"test.matmul", OpKind::kMatmul, DoNothing, nullptr, ScratchOf},
};

PassContext Context() {
  PassContext context;
  context.kernels = kTable;
  context.slots = 2;
  return context;
}

Graph Linear(int samples = 2) {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{samples, 3}});
  const ValueId w = graph.AddParam("w", Shape{3, 5}, ParamRole::kWeight, nullptr);
  b.set_loc("head");
  graph.outputs = {{"y", b.Op(OpKind::kMatmul, {x, w})}};
  EXPECT_TRUE(b.status().ok());
  return graph;
}

TEST(SelectKernelsTest, TakesTheFirstRowThatServesAFrozenWeight) {
  Graph graph = Linear();
  PassContext context = Context();
  ASSERT_TRUE(RunSelectKernels(graph, context).ok());
  EXPECT_EQ(graph.nodes[0].kernel, "test.matmul_packed");
  EXPECT_EQ(graph.nodes[0].scratch_bytes, 0);
}

TEST(SelectKernelsTest, AWeightThatLearnsIsNoConstant) {
  Graph graph = Linear();
  graph.values[1].trainable = true;
  PassContext context = Context();
  ASSERT_TRUE(RunSelectKernels(graph, context).ok());
  EXPECT_EQ(graph.nodes[0].kernel, "test.matmul");
  EXPECT_EQ(graph.nodes[0].scratch_bytes, 2 * 10 * 4);
}

Status PrepareNothing(const KernelArgs&, void**) { return OkStatus(); }

TEST(SelectKernelsTest, AStateThatIsThereServesOtherNumbersOfSamplesAndNoneIsAdded) {
  KernelInfo table[] = {kTable[0], kTable[1]};
  table[0].prepare = PrepareNothing;
  PassContext context = Context();
  context.kernels = table;
  Graph batch = Linear(), one = Linear(1);
  ASSERT_TRUE(RunSelectKernels(batch, context).ok());
  const KernelStateSet held = StatesOf(batch, context), none;
  EXPECT_EQ(held.size(), 1u);
  context.states = &held;
  ASSERT_TRUE(RunSelectKernels(one, context).ok());
  EXPECT_EQ(one.nodes[0].kernel, "test.matmul_packed");
  context.states = &none;
  ASSERT_TRUE(RunSelectKernels(one, context).ok());
  EXPECT_EQ(one.nodes[0].kernel, "test.matmul");
}

TEST(SelectKernelsTest, WhatWasMeasuredGoesBeforeTheOrderOfTheTable) {
  Graph graph = Linear();
  PassContext context = Context();
  const KernelChoices choices = {{"matmul(f32[2,3], const f32[3,5])", "test.matmul"},
                                 {"matmul(f32[2,3], f32[3,5])", "test.none"}};
  context.choices = &choices;
  ASSERT_TRUE(RunSelectKernels(graph, context).ok());
  EXPECT_EQ(graph.nodes[0].kernel, "test.matmul");
  EXPECT_EQ(graph.nodes[0].scratch_bytes, 2 * 10 * 4);
}

TEST(SelectKernelsTest, WhatWasNotMeasuredFollowsTheOrderOfTheTable) {
  Graph graph = Linear();
  PassContext context = Context();
  const KernelChoices choices = {{"matmul(f32[7,3], const f32[3,5])", "test.matmul"}};
  context.choices = &choices;
  ASSERT_TRUE(RunSelectKernels(graph, context).ok());
  EXPECT_EQ(graph.nodes[0].kernel, "test.matmul_packed");
}

TEST(SelectKernelsTest, AChoiceThatDoesNotServeIsAnError) {
  for (const char* kernel : {"test.none", "test.matmul_packed"}) {
    Graph graph = Linear();
    graph.values[1].trainable = true;
    PassContext context = Context();
    const KernelChoices choices = {{"matmul(f32[2,3], f32[3,5])", kernel}};
    context.choices = &choices;
    const absl::Status status = RunSelectKernels(graph, context);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), std::string("tuning: kernel ") + kernel +
                                    " does not serve matmul(f32[2,3], f32[3,5])");
  }
}

TEST(SelectKernelsTest, AMissingKernelIsAnErrorThatNamesOpAndShapes) {
  Graph graph = Linear();
  GraphBuilder b(&graph);
  b.set_loc("tail");
  b.Op(OpKind::kRelu, {graph.nodes[0].results[0]});
  PassContext context = Context();
  const absl::Status status = RunSelectKernels(graph, context);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(), "tail: no kernel of this backend serves relu(f32[2,5])");
}

}  // namespace
}  // namespace pocketune
