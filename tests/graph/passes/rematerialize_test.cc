// What rematerialization may not change, on random graphs: results, to the bit, and what it says of
// memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "autodiff/autodiff.h"
#include "autodiff/loss.h"
#include "autodiff/optimizers.h"
#include "backends/reference/reference_kernels.h"
#include "graph/ir/verifier.h"
#include "graph/memory/live_set.h"
#include "graph/memory/liveness.h"
#include "graph/memory/remat_search.h"
#include "graph/passes/pass_manager.h"
#include "tests/support/graph_step.h"
#include "tests/support/random_graph.h"

namespace pocketune {
namespace {

using test::RandomGraph;
using test::Step;
using test::TensorData;

// The joint graph of a random model at stage kOptimized; batch norm by the batch's statistics for
// every other seed.
Graph OptimizedModel(uint64_t seed, PassContext& context) {
  RandomGraph random(seed, 14);
  Graph graph = random.Take();
  EXPECT_TRUE(RunPasses(graph, context, {"dce"}).ok());
  if (seed % 2 == 0) {
    EXPECT_TRUE(RunPasses(graph, context, {"use_batch_statistics"}).ok());
  }
  EXPECT_TRUE(OptimizeForward(graph, context).ok());
  const absl::StatusOr<ValueId> loss =
      AttachClassificationLoss(graph, graph.FindOutput("logits"), 0.1);
  EXPECT_TRUE(loss.ok()) << loss.status();
  const auto grads = BuildBackward(graph, *loss, LearningParams(graph));
  EXPECT_TRUE(grads.ok()) << grads.status();
  EXPECT_TRUE(AppendUpdates(graph, *grads, {}).ok());
  EXPECT_TRUE(OptimizeGraph(graph, context).ok());
  return graph;
}

int64_t PeakOf(const Graph& graph) {
  std::vector<NodeId> order(graph.nodes.size());
  for (size_t n = 0; n < order.size(); ++n) order[n] = static_cast<NodeId>(n);
  return PeakBytesOf(graph, order);
}

class RematerializeTest : public testing::TestWithParam<uint64_t> {};

TEST_P(RematerializeTest, TheStepKeepsItsBits) {
  PassContext context;
  context.kernels = ReferenceKernels();
  const Graph optimized = OptimizedModel(GetParam(), context);
  Graph kept = optimized;
  ASSERT_TRUE(ScheduleGraph(kept, context).ok());
  const std::map<std::string, TensorData> want = Step(kept, DType::kF32);
  for (const double share : {0.9, 0.7, 0.0}) {
    context.live_target_bytes =
        static_cast<int64_t>(share * static_cast<double>(PeakOf(optimized)));
    Graph changed = optimized;
    const absl::Status status = ScheduleGraph(changed, context);
    ASSERT_TRUE(status.ok()) << status;
    const std::map<std::string, TensorData> got = Step(changed, DType::kF32);
    ASSERT_EQ(got.size(), want.size());
    for (const auto& [name, tensor] : want) {
      EXPECT_EQ(got.at(name).Values(), tensor.Values()) << name << " at " << share;
    }
  }
}

TEST_P(RematerializeTest, ThePeakIsWhatTheSearchSays) {
  PassContext context;
  context.kernels = ReferenceKernels();
  const Graph optimized = OptimizedModel(GetParam(), context);
  const RematPlan none = SearchRemat(optimized, PeakOf(optimized));
  EXPECT_EQ(none.second_runs, 0);
  EXPECT_EQ(none.peak_bytes, PeakOf(optimized));
  for (const double share : {0.9, 0.7, 0.0}) {
    context.live_target_bytes = static_cast<int64_t>(share * static_cast<double>(none.peak_bytes));
    const RematPlan plan = SearchRemat(optimized, context.live_target_bytes);
    EXPECT_LE(plan.peak_bytes, none.peak_bytes);
    Graph changed = optimized;
    ASSERT_TRUE(RunPasses(changed, context, {"rematerialize", "select_kernels"}).ok());
    EXPECT_EQ(static_cast<int>(changed.nodes.size() - optimized.nodes.size()), plan.second_runs);
    EXPECT_LE(PeakOf(changed), plan.peak_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RematerializeTest, testing::Range<uint64_t>(0, 60));

}  // namespace
}  // namespace pocketune
