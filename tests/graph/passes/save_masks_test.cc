// What the backward pass keeps, in bytes, and that nothing alive is overwritten.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/autodiff.h"
#include "autodiff/optimizers.h"
#include "backends/reference/reference_kernels.h"
#include "graph/passes/pass_manager.h"
#include "tests/support/arena_check.h"
#include "tests/support/random_graph.h"
#include "tests/support/saved_bytes.h"

namespace pocketune {
namespace {

// The joint graph with places in the arena, from a forward graph with the scalar output "loss".
Graph Planned(Graph graph, std::vector<std::string> disabled = {}) {
  PassContext context;
  context.kernels = ReferenceKernels();
  context.disabled = std::move(disabled);
  EXPECT_TRUE(RunPasses(graph, context, {"dce"}).ok());
  EXPECT_TRUE(OptimizeForward(graph, context).ok());
  const auto grads = BuildBackward(graph, graph.FindOutput("loss"), LearningParams(graph));
  EXPECT_TRUE(grads.ok()) << grads.status();
  const absl::Status updated = AppendUpdates(graph, *grads, {.kind = OptimizerKind::kSgd});
  EXPECT_TRUE(updated.ok()) << updated;
  const absl::Status planned = PlanGraph(graph, context);
  EXPECT_TRUE(planned.ok()) << planned;
  return graph;
}

void AddLoss(Graph& graph, ValueId x) {
  GraphBuilder b(&graph);
  const uint32_t axes = (1u << graph.shape(x).rank()) - 1;
  graph.outputs = {{"loss", b.Op(OpKind::kReduceMean, {x}, ReduceAttrs{.axes = axes})}};
}

// A chain of convolutions with frozen weights and biases that learn: relu6, relu, clamp, none,
// relu. Each result has 7 x 7 x 5 elements, 31 bytes as a mask.
Graph ChainOfBiases(bool weights_learn) {
  Graph graph;
  GraphBuilder b(&graph);
  ValueId x = graph.AddInput("image", {Shape{1, 7, 7, 5}});
  for (const OpKind act :
       {OpKind::kRelu6, OpKind::kRelu, OpKind::kClamp, OpKind::kAffine, OpKind::kRelu}) {
    const std::string name = absl::StrCat("conv", graph.nodes.size());
    const auto param = [&](const char* suffix, Shape shape, ParamRole role) {
      const std::string full = name + suffix;
      return graph.AddParam(full, shape, role, test::RandomData(full, shape.elems(), role));
    };
    const ValueId w = param(".weight", {5, 1, 1, 5}, ParamRole::kWeight);
    const ValueId bias = param(".bias", {5}, ParamRole::kBias);
    graph.value(bias).trainable = true;
    graph.value(w).trainable = weights_learn;
    x = b.Op(OpKind::kConv2d, {x, w, bias}, ConvAttrs{});
    Attrs attrs = NoAttrs{};
    if (act == OpKind::kClamp) attrs = ClampAttrs{.lo = -1, .hi = 1};
    if (act == OpKind::kAffine) attrs = AffineAttrs{.factor = 2};
    x = b.Op(act, {x}, attrs);
  }
  AddLoss(graph, x);
  EXPECT_TRUE(b.status().ok()) << b.status();
  return graph;
}

TEST(SaveMasksTest, LayersWhoseBiasesLearnKeepOneBitForEachElementAndNothingElse) {
  constexpr int64_t kElems = 7 * 7 * 5, kMask = (kElems + 7) / 8, kFloats = 4 * kElems;
  EXPECT_EQ(test::SavedBytes(Planned(ChainOfBiases(false)), true), 4 * kMask);
  // The results of three activations and the operand of clamp.
  EXPECT_EQ(test::SavedBytes(Planned(ChainOfBiases(false), {"save_masks"}), true), 4 * kFloats);
}

TEST(SaveMasksTest, NoMaskIsMadeOfWhatAFilterGradientKeepsAnyway) {
  constexpr int64_t kElems = 7 * 7 * 5, kMask = (kElems + 7) / 8, kFloats = 4 * kElems;
  // The five inputs; masks stand for the operand of clamp and for the last result.
  EXPECT_EQ(test::SavedBytes(Planned(ChainOfBiases(true)), true), 5 * kFloats + 2 * kMask);
}

TEST(SaveMasksTest, NoTwoThingsThatAreNeededAtOnceShareBytes) {
  int masks = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Graph forward = test::RandomGraph(seed).Take();
    AddLoss(forward, forward.FindOutput("logits"));
    const Graph graph = Planned(std::move(forward));
    SCOPED_TRACE(seed);
    test::ExpectNothingAliveIsOverwritten(graph);
    masks += static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                            [](auto& n) { return n.op == OpKind::kGateMask; }));
  }
  EXPECT_GT(masks, 10);
}

}  // namespace
}  // namespace pocketune
