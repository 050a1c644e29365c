#include "autodiff/autodiff.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "autodiff/loss.h"
#include "backends/reference/reference_kernels.h"
#include "graph/ir/builder.h"
#include "graph/ir/verifier.h"
#include "tests/support/interpreter.h"

namespace pocketune {
namespace {

HostData Data(std::vector<float> values) {
  return std::make_shared<const std::vector<float>>(std::move(values));
}

HostData Filled(const Shape& shape, float value) {
  return Data(std::vector<float>(shape.elems(), value));
}

ValueId Weight(Graph& graph, const std::string& name, Shape shape) {
  return graph.AddParam(name, shape, ParamRole::kWeight, Filled(shape, 0.5f));
}

int CountOps(const Graph& graph, OpKind op) {
  return static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                        [&](const Node& node) { return node.op == op; }));
}

TEST(AutodiffTest, AddsTheGradientsOfSeveralReaders) {
  Graph g;
  const ValueId x = g.AddParam("x", {3}, ParamRole::kWeight, Data({2, 3, -5}));
  GraphBuilder b(&g);
  // x x + 7 x + exp(0 x): four readings, one node reads twice.
  const ValueId square = b.Op(OpKind::kMul, {x, x});
  const ValueId sum = b.Op(OpKind::kAdd, {square, b.Affine(x, 7)});
  const ValueId all = b.Op(OpKind::kAdd, {sum, b.Op(OpKind::kExp, {b.Affine(x, 0)})});
  const ValueId loss = b.SumTo(all, {});
  const auto grads = BuildBackward(g, loss, {x});
  ASSERT_TRUE(grads.ok()) << grads.status();
  ASSERT_TRUE(Verify(g).ok()) << Verify(g);
  test::Interpreter run(g, ReferenceKernels());
  StepPage page;
  run.Run(page);
  EXPECT_EQ(run.Get((*grads)[0].grad).Values(), (std::vector<double>{11, 13, -3}));
  const int backward_adds =
      static_cast<int>(std::count_if(g.nodes.begin(), g.nodes.end(), [](const Node& node) {
        return node.phase == Phase::kBackward && node.op == OpKind::kAdd;
      }));
  EXPECT_EQ(backward_adds, 3);
}

TEST(AutodiffTest, ReturnsTheGradientOfTheLossItself) {
  Graph g;
  const ValueId x = g.AddParam("x", {}, ParamRole::kWeight, Data({2}));
  const auto grads = BuildBackward(g, x, {x});
  ASSERT_TRUE(grads.ok()) << grads.status();
  test::Interpreter run(g, ReferenceKernels());
  StepPage page;
  run.Run(page);
  EXPECT_EQ(run.Get((*grads)[0].grad)[0], 1);
}

TEST(AutodiffTest, NamesOpAndTensorOfAMissingRule) {
  Graph g;
  const ValueId w = Weight(g, "features.3.weight", {3});
  GraphBuilder b(&g);
  b.set_loc("features.3");
  const ValueId y = b.Op(OpKind::kReluGrad, {b.Affine(w, 2), w});
  const auto grads = BuildBackward(g, b.SumTo(y, {}), {w});
  EXPECT_EQ(grads.status(),
            absl::InvalidArgumentError(
                "autodiff: a wanted gradient flows through relu_grad (features.3), which has no "
                "gradient rule; tensor features.3.weight"));
}

TEST(AutodiffTest, MissesTheGradientOfBatchStatistics) {
  Graph g;
  const ValueId x = Weight(g, "x", {3, 2});
  GraphBuilder b(&g);
  b.set_loc("bn");
  const std::vector<ValueId> norm = b.Multi(
      OpKind::kBatchNorm, {x, Weight(g, "scale", {2}), Weight(g, "shift", {2})}, NormAttrs{});
  const auto grads = BuildBackward(g, b.SumTo(norm[1], {}), {x});
  EXPECT_EQ(grads.status(), absl::InvalidArgumentError(
                                "autodiff: a wanted gradient flows through batch_norm (bn), which "
                                "has no gradient rule; tensor x"));
}

TEST(AutodiffTest, MissesTheGradientOfAnOperandThatItsRuleLeavesOut) {
  Graph g;
  GraphBuilder b(&g);
  b.set_loc("bn");
  const ValueId x = Weight(g, "x", {3, 2});
  const ValueId mean = Weight(g, "bn.running_mean", {2});
  const ValueId var = Weight(g, "var", {2});
  const ValueId y = b.Op(OpKind::kBatchNormFrozen,
                         {x, Weight(g, "scale", {2}), Weight(g, "shift", {2}), mean, var});
  const auto grads = BuildBackward(g, b.SumTo(y, {}), {x, mean});
  EXPECT_EQ(grads.status(),
            absl::InvalidArgumentError("autodiff: a wanted gradient flows through "
                                       "batch_norm_frozen (bn), which has no gradient rule; tensor "
                                       "bn.running_mean"));
}

TEST(AutodiffTest, RejectsAFusedActivation) {
  Graph g;
  const ValueId w = Weight(g, "w", {3, 2});
  GraphBuilder b(&g);
  b.set_loc("fc");
  const ValueId x = g.AddInput("x", {{5, 3}, DType::kF32});
  const ValueId y = b.Op(OpKind::kMatmul, {x, w}, MatmulAttrs{.act = Act::kRelu});
  const auto grads = BuildBackward(g, b.SumTo(y, {}), {w});
  EXPECT_EQ(grads.status(),
            absl::FailedPreconditionError("autodiff: matmul (fc): the activation is fused before "
                                          "the gradient is taken (got act 1, want none)"));
}

TEST(AutodiffTest, NamesAWantedValueThatTheLossDoesNotDependOn) {
  Graph g;
  const ValueId used = Weight(g, "used", {3});
  const ValueId idle = Weight(g, "idle", {3});
  GraphBuilder b(&g);
  b.Op(OpKind::kExp, {idle});
  const auto grads = BuildBackward(g, b.SumTo(used, {}), {used, idle});
  EXPECT_EQ(grads.status(),
            absl::InvalidArgumentError(
                "autodiff: the loss does not depend on idle, whose gradient is wanted"));
}

TEST(AutodiffTest, RejectsALossThatIsNoScalar) {
  Graph g;
  const ValueId x = Weight(g, "x", {3});
  EXPECT_EQ(
      BuildBackward(g, x, {x}).status(),
      absl::InvalidArgumentError("autodiff: the loss is not a scalar (got f32[3], want f32[])"));
}

// image -> conv0 -> relu -> conv1 -> relu -> [side branch exp] -> mean -> fc.
struct Net {
  Graph graph;
  ValueId conv0, conv1, bias1, fc, fc_bias, loss;
};

Net BuildNet() {
  Net n;
  Graph& g = n.graph;
  GraphBuilder b(&g);
  const ValueId image = g.AddInput("image", {{2, 5, 5, 3}, DType::kF32});
  n.conv0 = Weight(g, "conv0", {3, 3, 3, 3});
  n.conv1 = Weight(g, "conv1", {5, 3, 3, 3});
  n.bias1 = Weight(g, "bias1", {5});
  n.fc = Weight(g, "fc", {7, 5});
  n.fc_bias = Weight(g, "fc_bias", {7});
  const ValueId h0 = b.Op(OpKind::kRelu, {b.Op(OpKind::kConv2d, {image, n.conv0})});
  const ValueId h1 = b.Op(OpKind::kRelu, {b.Op(OpKind::kConv2d, {h0, n.conv1, n.bias1})});
  g.outputs.push_back({"side", b.Op(OpKind::kExp, {h1})});
  const ValueId mean = b.Op(OpKind::kReduceMean, {h1}, ReduceAttrs{.axes = 6});
  const ValueId logits =
      b.Op(OpKind::kMatmul, {mean, n.fc, n.fc_bias}, MatmulAttrs{.trans_b = true});
  n.loss = *AttachClassificationLoss(g, logits, 0.1);
  EXPECT_TRUE(b.status().ok()) << b.status();
  return n;
}

TEST(AutodiffTest, HeadAloneTakesTwoNodesAfterTheLoss) {
  Net n = BuildNet();
  const size_t forward = n.graph.nodes.size();
  ASSERT_TRUE(BuildBackward(n.graph, n.loss, {n.fc, n.fc_bias}).ok());
  ASSERT_TRUE(Verify(n.graph).ok()) << Verify(n.graph);
  std::vector<std::string> ops;
  for (size_t i = forward; i < n.graph.nodes.size(); ++i) {
    ops.push_back(n.graph.nodes[i].info().name);
    EXPECT_EQ(n.graph.nodes[i].phase, Phase::kBackward);
  }
  EXPECT_EQ(ops, (std::vector<std::string>{"fill", "softmax_cross_entropy_grad", "matmul",
                                           "reduce_sum"}));
}

TEST(AutodiffTest, ABiasDeepInTheModelReadsNoConvolutionInput) {
  Net n = BuildNet();
  ASSERT_TRUE(BuildBackward(n.graph, n.loss, {n.bias1}).ok());
  EXPECT_EQ(CountOps(n.graph, OpKind::kConv2dGradInput), 0);
  EXPECT_EQ(CountOps(n.graph, OpKind::kConv2dGradFilter), 0);
  EXPECT_EQ(CountOps(n.graph, OpKind::kReluGrad), 1);
}

TEST(AutodiffTest, TheFirstLayerTakesNoGradientOfItsInput) {
  Net n = BuildNet();
  ASSERT_TRUE(BuildBackward(n.graph, n.loss, {n.conv0}).ok());
  EXPECT_EQ(CountOps(n.graph, OpKind::kConv2dGradInput), 1);
  EXPECT_EQ(CountOps(n.graph, OpKind::kConv2dGradFilter), 1);
}

TEST(AutodiffTest, BackwardNodesCarryTheForwardNodesLocation) {
  Graph g;
  const ValueId w = Weight(g, "w", {3});
  GraphBuilder b(&g);
  b.set_loc("features.7");
  const ValueId y = b.Op(OpKind::kSilu, {w});
  b.set_loc("sum");
  ASSERT_TRUE(BuildBackward(g, b.SumTo(y, {}), {w}).ok());
  EXPECT_EQ(g.nodes.back().info().name, std::string("silu_grad"));
  EXPECT_EQ(g.nodes.back().loc, "features.7");
}

TEST(AutodiffTest, AFrozenScaleDoesNotKeepTheInputOfItsNormalization) {
  for (const bool scale_learns : {false, true}) {
    Graph g;
    GraphBuilder b(&g);
    const ValueId w = Weight(g, "w", {3, 5});
    const ValueId scale = Weight(g, "scale", {5}), shift = Weight(g, "shift", {5});
    const ValueId x = b.Affine(w, 2);
    const ValueId y = b.Op(OpKind::kBatchNormFrozen,
                           {x, scale, shift, Weight(g, "mean", {5}), Weight(g, "var", {5})});
    std::vector<ValueId> wanted = {w, shift};
    if (scale_learns) wanted.push_back(scale);
    ASSERT_TRUE(BuildBackward(g, b.SumTo(y, {}), wanted).ok());
    const NodeId last_reader = UsersOf(g)[x].back();
    EXPECT_EQ(g.nodes[last_reader].phase == Phase::kBackward, scale_learns);
  }
}

TEST(LossTest, ClassificationAddsItsInputsAndOutput) {
  Graph g;
  const ValueId logits = g.AddInput("logits", {{5, 3}, DType::kF32});
  const auto loss = AttachClassificationLoss(g, logits, 0.0);
  ASSERT_TRUE(loss.ok()) << loss.status();
  EXPECT_EQ(g.FindOutput("loss"), *loss);
  EXPECT_EQ(g.type(g.FindValue("label", ValueKind::kInput)), (TensorType{{5}, DType::kI32}));
  EXPECT_EQ(g.type(g.FindValue("weight", ValueKind::kInput)), (TensorType{{5}, DType::kF32}));
}

TEST(LossTest, PaddingOfAShortBatchHasNoGradient) {
  Graph g;
  const ValueId x = g.AddParam("x", {3, 2}, ParamRole::kWeight, Data({1, 2, 3, 4, 5, 6}));
  const auto loss = AttachSquaredLoss(g, x);
  ASSERT_TRUE(loss.ok()) << loss.status();
  const auto grads = BuildBackward(g, *loss, {x});
  ASSERT_TRUE(grads.ok()) << grads.status();
  test::Interpreter run(g, ReferenceKernels());
  run.Set("target", {0, 0, 0, 0, 0, 0});
  run.Set("weight", {1, 0, 1});
  StepPage page;
  run.Run(page);
  // Mean over two samples of two elements: d = 2 x / 4.
  EXPECT_EQ(run.Get((*grads)[0].grad).Values(), (std::vector<double>{0.5, 1, 0, 0, 2.5, 3}));
}

TEST(LossTest, RejectsLogitsOfAnotherRank) {
  Graph g;
  const ValueId logits = g.AddInput("logits", {{5, 3, 2}, DType::kF32});
  EXPECT_EQ(AttachClassificationLoss(g, logits, 0.0).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pocketune
