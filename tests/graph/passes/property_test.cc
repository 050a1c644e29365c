// Passes keep what a graph computes: loss and updated parameters of random models before and after,
// in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "autodiff/autodiff.h"
#include "autodiff/loss.h"
#include "autodiff/optimizers.h"
#include "backends/reference/reference_kernels.h"
#include "graph/ir/text.h"
#include "graph/ir/verifier.h"
#include "graph/passes/pass_manager.h"
#include "tests/support/graph_step.h"
#include "tests/support/random_graph.h"

namespace pocketune {
namespace {

using test::RandomGraph;
using test::RelativeError;
using test::Step;
using test::TensorData;

// Data folded at compile time is rounded to float once, before a few more layers.
constexpr double kTolerance = 1e-5;

absl::Status Apply(Graph& graph, const std::vector<std::string>& passes) {
  PassContext context;
  context.kernels = ReferenceKernels();
  return RunPasses(graph, context, passes);
}

// A random model without dead branches; batch norm by the batch's statistics for every third seed.
Graph RandomModel(uint64_t seed) {
  RandomGraph random(seed);
  EXPECT_TRUE(random.status().ok()) << random.status();
  Graph graph = random.Take();
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph);
  std::vector<std::string> passes = {"dce"};
  if (seed % 3 == 0) passes.push_back("use_batch_statistics");
  const absl::Status status = Apply(graph, passes);
  EXPECT_TRUE(status.ok()) << status;
  return graph;
}

// The joint graph of one step with momentum.
Graph TrainingGraph(Graph graph) {
  const absl::StatusOr<ValueId> loss =
      AttachClassificationLoss(graph, graph.FindOutput("logits"), 0.1);
  EXPECT_TRUE(loss.ok()) << loss.status();
  const auto grads = BuildBackward(graph, *loss, LearningParams(graph));
  EXPECT_TRUE(grads.ok()) << grads.status();
  const absl::Status status = AppendUpdates(graph, *grads, {});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph);
  return graph;
}

// A gradient that is zero but for rounding, as that of a bias in front of a normalization.
bool IsNothing(const TensorData& tensor) {
  double largest = 0;
  for (int64_t i = 0; i < tensor.elems(); ++i) largest = std::max(largest, std::abs(tensor[i]));
  return largest < 1e-12;
}

void ExpectSameStep(const Graph& before, const Graph& after, const std::string& what,
                    DType dtype = DType::kF64) {
  const std::map<std::string, TensorData> want = Step(before, dtype);
  const std::map<std::string, TensorData> got = Step(after, dtype);
  ASSERT_EQ(got.size(), want.size()) << what;
  for (const auto& [name, tensor] : want) {
    ASSERT_EQ(got.count(name), 1u) << what << ": " << name;
    if (IsNothing(tensor) && IsNothing(got.at(name))) continue;
    EXPECT_LE(RelativeError(got.at(name), tensor), kTolerance) << what << ": " << name;
  }
}

class PropertyTest : public testing::TestWithParam<uint64_t> {};

TEST_P(PropertyTest, TextReadsBack) {
  const Graph graph = TrainingGraph(RandomModel(GetParam()));
  const std::string text = Print(graph, {.locs = true});
  const absl::StatusOr<Graph> back = Parse(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(Print(*back, {.locs = true}), text);
}

TEST_P(PropertyTest, ForwardPassesKeepTheStep) {
  const Graph graph = RandomModel(GetParam());
  const Graph want = TrainingGraph(graph);
  for (const char* pass : {"canonicalize", "fold_batchnorm", "fold_constants"}) {
    Graph changed = graph;
    const absl::Status status = Apply(changed, {pass});
    ASSERT_TRUE(status.ok()) << status;
    ExpectSameStep(want, TrainingGraph(std::move(changed)), pass);
  }
}

TEST_P(PropertyTest, PassesOnTheJointGraphKeepTheStep) {
  const Graph graph = TrainingGraph(RandomModel(GetParam()));
  for (const PassInfo& pass : AllPasses()) {
    Graph changed = graph;
    std::vector<std::string> passes = {pass.name};
    if (passes[0] == "plan_memory") passes.insert(passes.begin(), "select_kernels");
    const absl::Status status = Apply(changed, passes);
    if (status.code() == absl::StatusCode::kFailedPrecondition) continue;  // forward passes
    ASSERT_TRUE(status.ok()) << status;
    ExpectSameStep(graph, changed, pass.name);
  }
}

// Normalizations that recompute_norm has added.
size_t Recomputed(const Graph& graph) {
  return static_cast<size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
        return node.op == OpKind::kBatchNormFrozen && node.phase == Phase::kBackward;
      }));
}

TEST_P(PropertyTest, TheWholePipelineKeepsTheStepAndGivesAValidPlan) {
  const Graph graph = RandomModel(GetParam());
  PassContext context;
  context.kernels = ReferenceKernels();
  Graph changed = graph;
  ASSERT_TRUE(OptimizeForward(changed, context).ok());
  changed = TrainingGraph(std::move(changed));
  const absl::Status status = PlanGraph(changed, context);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(changed.stage, Stage::kPlanned);
  const Graph want = TrainingGraph(graph);
  EXPECT_LT(changed.nodes.size() - Recomputed(changed), want.nodes.size());
  ExpectSameStep(want, changed, "pipeline");
}

// Every pass's result is verified, and so is each loop, run on paper.
TEST_P(PropertyTest, LoopsOverPartsOfTheBatchKeepTheStep) {
  Graph graph = RandomModel(GetParam());
  const Graph want = TrainingGraph(graph);
  PassContext context;
  context.kernels = ReferenceKernels();
  context.cached_bytes = 256;
  ASSERT_TRUE(OptimizeForward(graph, context).ok());
  graph = TrainingGraph(std::move(graph));
  const absl::Status status = PlanGraph(graph, context);
  ASSERT_TRUE(status.ok()) << status;
  ExpectSameStep(want, graph, "pipeline");
}

INSTANTIATE_TEST_SUITE_P(Seeds, PropertyTest, testing::Range<uint64_t>(0, 60));

}  // namespace
}  // namespace pocketune
