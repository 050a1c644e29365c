// Random schemes on random models through all passes, to places in the arena: what is learned, what
// it takes, and that nothing alive is overwritten.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/optimizers.h"
#include "graph/passes/pass_manager.h"
#include "tests/sparse_bp/random_scheme.h"
#include "tests/support/arena_check.h"
#include "tests/support/graph_step.h"

namespace pocketune {
namespace {

using test::TensorData;
using Names = std::vector<std::string>;

// Forward, backward and updates; each gradient is an output named "<param>'".
void Differentiate(Graph& graph) {
  const auto grads = BuildBackward(graph, graph.FindOutput("loss"), LearningParams(graph));
  ASSERT_TRUE(grads.ok()) << grads.status();
  const absl::Status status = AppendUpdates(graph, *grads, {.kind = OptimizerKind::kMomentum});
  ASSERT_TRUE(status.ok()) << status;
  for (const ParamGrad& g : *grads) {
    graph.outputs.push_back({graph.value(g.param).name + "'", g.grad});
  }
}

// As the scheme and autodiff leave it.
Graph Plain(Graph graph, const UpdateScheme& scheme) {
  const absl::Status status = ApplyScheme(graph, scheme);
  EXPECT_TRUE(status.ok()) << status;
  Differentiate(graph);
  return graph;
}

// With places in the arena.
Graph Planned(Graph graph, const UpdateScheme& scheme, const Names& disabled = {},
              int64_t cached_bytes = PassContext{}.cached_bytes) {
  PassContext context;
  context.kernels = ReferenceKernels();
  context.disabled = disabled;
  context.cached_bytes = cached_bytes;
  absl::Status status = ApplyScheme(graph, scheme);
  EXPECT_TRUE(status.ok()) << status;
  status = OptimizeForward(graph, context);
  EXPECT_TRUE(status.ok()) << status;
  Differentiate(graph);
  status = PlanGraph(graph, context);
  EXPECT_TRUE(status.ok()) << status;
  return graph;
}

class SparsePlanTest : public testing::TestWithParam<uint64_t> {
 protected:
  void SetUp() override {
    const absl::StatusOr<Graph> model = test::RandomModel(GetParam());
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *model;
    scheme_ = test::RandomScheme(model_, GetParam());
  }

  Graph model_;
  UpdateScheme scheme_;
};

TEST_P(SparsePlanTest, LearnsWhatTheGraphBeforeAllPassesLearns) {
  const std::map<std::string, TensorData> want = test::Step(Plain(model_, scheme_), DType::kF64);
  // Folded weights are rounded to float once.
  for (const Names& disabled : {Names{}, Names{"fold_batchnorm", "fold_constants"}}) {
    const double tolerance = disabled.empty() ? 1e-5 : 1e-6;
    for (const int64_t cached_bytes : {256, 1 << 20}) {
      const auto got = test::Step(Planned(model_, scheme_, disabled, cached_bytes), DType::kF64);
      ASSERT_EQ(got.size(), want.size());
      for (const auto& [name, tensor] : want) {
        EXPECT_LE(test::RelativeError(got.at(name), tensor), tolerance) << name;
      }
    }
  }
}

TEST_P(SparsePlanTest, KeptGradientsAreThoseOfTheFullPlanBitForBit) {
  // These two leave roundings out, and may do so in one of the plans alone.
  const Names disabled = {"fold_batchnorm", "fuse_epilogue"};
  const auto full = test::Step(Planned(model_, *ParseScheme("full"), disabled), DType::kF32);
  const Graph graph = Planned(model_, scheme_, disabled);
  const auto sparse = test::Step(graph, DType::kF32);
  for (const auto& [name, tensor] : sparse) {
    const std::string param = name.substr(0, name.find_first_of("'/"));
    const ValueId id = graph.FindValue(param, ValueKind::kParam);
    if (id != kNone && graph.value(id).slices != nullptr) continue;  // channels_test.cc
    ASSERT_EQ(full.count(name), 1u) << name;
    EXPECT_TRUE(tensor == full.at(name)) << name;
  }
}

TEST_P(SparsePlanTest, OverwritesNothingAlive) {
  test::ExpectNothingAliveIsOverwritten(Planned(model_, scheme_));
}

TEST_P(SparsePlanTest, MasksNeverGrowTheArena) {
  for (const UpdateScheme& scheme : {scheme_, *ParseScheme("bias"), *ParseScheme("full")}) {
    EXPECT_LE(Planned(model_, scheme).arena_bytes,
              Planned(model_, scheme, {"save_masks"}).arena_bytes)
        << scheme.text;
  }
}

TEST_P(SparsePlanTest, TakesNoMoreThanTheFullPlan) {
  EXPECT_LE(Planned(model_, scheme_).arena_bytes,
            Planned(model_, *ParseScheme("full")).arena_bytes);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SparsePlanTest, testing::Range<uint64_t>(0, 30));

}  // namespace
}  // namespace pocketune
