#include "autodiff/optimizers.h"

#include <gtest/gtest.h>

#include "backends/reference/reference_kernels.h"
#include "graph/ir/builder.h"
#include "graph/ir/verifier.h"
#include "tests/support/interpreter.h"

namespace pocketune {
namespace {

ValueId Param(Graph& graph, const std::string& name, ParamRole role) {
  return graph.AddParam(
      name, {2}, role,
      std::make_shared<const std::vector<float>>(std::vector<float>{0.5f, -1.25f}));
}

// loss = sum(w g): the gradient of w is the input g.
Graph Build(const OptimizerSpec& spec) {
  Graph graph;
  const ValueId w = Param(graph, "w", ParamRole::kWeight);
  const ValueId g = graph.AddInput("g", {{2}, DType::kF32});
  GraphBuilder b(&graph);
  const ValueId loss = b.SumTo(b.Op(OpKind::kMul, {w, g}), {});
  const auto grads = BuildBackward(graph, loss, {w});
  EXPECT_TRUE(grads.ok()) << grads.status();
  const absl::Status status = AppendUpdates(graph, *grads, spec);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph);
  EXPECT_EQ(graph.stage, Stage::kTraining);
  return graph;
}

struct Expected {
  OptimizerKind kind;
  double w[3][2];
};

class OptimizersTest : public testing::TestWithParam<Expected> {};

// Numbers of torch 1.13 in double: SGD(weight_decay=0.01, momentum=0 or 0.9, nesterov) and
// AdamW(weight_decay=0.01) from w = (0.5, -1.25).
TEST_P(OptimizersTest, ThreeStepsAreTorchs) {
  constexpr double kGrads[3][2] = {{0.5, -2.0}, {1.0, 0.25}, {-0.75, 1.5}};
  constexpr double kRates[3] = {0.1, 0.05, 0.2};
  const Graph graph = Build({.kind = GetParam().kind, .weight_decay = 0.01});
  test::Interpreter run(graph, ReferenceKernels(), DType::kF64);
  StepPage page;
  for (int step = 0; step < 3; ++step) {
    page.step = step + 1;
    page.learning_rate = kRates[step];
    run.Set("g", {kGrads[step][0], kGrads[step][1]});
    run.Run(page);
    for (int i = 0; i < 2; ++i) {
      EXPECT_NEAR(run.Get("w")[i], GetParam().w[step][i], 1e-14) << "step " << page.step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, OptimizersTest,
                         testing::Values(Expected{OptimizerKind::kSgd,
                                                  {{0.4495, -1.04875},
                                                   {0.39927525, -1.0607256250000001},
                                                   {0.5484766995, -1.35860417375}}},
                                         Expected{OptimizerKind::kMomentum,
                                                  {{0.4495, -1.04875},
                                                   {0.37655025000000003, -0.970163125},
                                                   {0.2631780495, -0.98531004875}}},
                                         Expected{OptimizerKind::kNesterov,
                                                  {{0.40405, -0.867625},
                                                   {0.28821365250000003, -0.80904450625},
                                                   {0.3358348796205, -1.12164208462625}}},
                                         Expected{OptimizerKind::kAdamW,
                                                  {{0.39950000199999997, -1.1487500005},
                                                   {0.3510411513182547, -1.1195488969142278},
                                                   {0.29764789549810167, -1.1226526141033204}}}),
                         [](const auto& info) { return NameOf(info.param.kind); });

TEST(OptimizerStatesTest, StandNextToTheirParameter) {
  const Graph graph = Build({.kind = OptimizerKind::kAdamW});
  for (const char* name : {"w/m", "w/v"}) {
    const ValueId id = graph.FindValue(name, ValueKind::kParam);
    ASSERT_NE(id, kNone) << name;
    EXPECT_EQ(graph.value(id).role, ParamRole::kState);
    EXPECT_TRUE(graph.value(id).trainable);
    EXPECT_EQ(graph.shape(id), Shape({2}));
    EXPECT_EQ(graph.value(id).data, nullptr);
  }
  EXPECT_EQ(Build({.kind = OptimizerKind::kSgd}).FindValue("w/velocity", ValueKind::kParam), kNone);
}

// Attributes of the update of each of four parameters.
std::vector<OptimizerAttrs> AttrsOfFour(const OptimizerSpec& spec) {
  Graph graph;
  GraphBuilder b(&graph);
  std::vector<ValueId> wanted = {Param(graph, "a.weight", ParamRole::kWeight),
                                 Param(graph, "a.bias", ParamRole::kBias),
                                 Param(graph, "bn.scale", ParamRole::kNormScale),
                                 Param(graph, "bn.shift", ParamRole::kNormShift)};
  ValueId sum = wanted[0];
  for (int i = 1; i < 4; ++i) sum = b.Op(OpKind::kMul, {sum, wanted[i]});
  const auto grads = BuildBackward(graph, b.SumTo(sum, {}), wanted);
  EXPECT_TRUE(grads.ok()) << grads.status();
  EXPECT_TRUE(AppendUpdates(graph, *grads, spec).ok());
  std::vector<OptimizerAttrs> attrs;
  for (const Node& node : graph.nodes) {
    if (node.phase == Phase::kUpdate) attrs.push_back(std::get<OptimizerAttrs>(node.attrs));
  }
  EXPECT_EQ(attrs.size(), 4u);
  return attrs;
}

TEST(OptimizerGroupsTest, DecaySparesBiasAndNormWhereAsked) {
  const auto attrs = AttrsOfFour({.weight_decay = 0.5, .decay_bias_and_norm = false});
  EXPECT_EQ(attrs[0].weight_decay, 0.5);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(attrs[i].weight_decay, 0.0) << i;
}

TEST(OptimizerGroupsTest, TheFirstGroupThatMatchesCounts) {
  const auto attrs = AttrsOfFour({.weight_decay = 0.5, .groups = {{"a.b*", 3.0}, {"a.*", 2.0}}});
  EXPECT_EQ(attrs[0].lr_scale, 2.0);
  EXPECT_EQ(attrs[0].weight_decay, 0.5);
  EXPECT_EQ(attrs[1].lr_scale, 3.0);
  EXPECT_EQ(attrs[1].weight_decay, 0.5);
  EXPECT_EQ(attrs[2].lr_scale, 1.0);
}

TEST(OptimizerGroupsTest, APatternWithoutAParameterIsAnError) {
  Graph graph;
  Param(graph, "w", ParamRole::kWeight);
  EXPECT_EQ(AppendUpdates(graph, {}, {.groups = {{"features.*"}}}),
            absl::InvalidArgumentError(
                "optimizer: no parameter matches the group's pattern (got features.*)"));
}

TEST(OptimizersErrorTest, RejectsHyperparametersOutOfRange) {
  Graph graph;
  const ValueId w = Param(graph, "w", ParamRole::kWeight);
  EXPECT_EQ(AppendUpdates(graph, {{w, w}}, {.momentum = -0.5}).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(OptimizersErrorTest, ParsesNames) {
  for (const char* name : {"sgd", "momentum", "nesterov", "adamw"}) {
    const auto kind = ParseOptimizer(name);
    ASSERT_TRUE(kind.ok()) << kind.status();
    EXPECT_STREQ(NameOf(*kind), name);
  }
  EXPECT_EQ(ParseOptimizer("lion").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(ParseOptimizer("adam").status(),
            absl::InvalidArgumentError("optimizer: unknown name (got adam, want sgd, momentum, "
                                       "nesterov, adamw)"));
}

}  // namespace
}  // namespace pocketune
