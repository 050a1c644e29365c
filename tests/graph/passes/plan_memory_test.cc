#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "backends/reference/reference_kernels.h"
#include "engine/base/math.h"
#include "graph/ir/verifier.h"
#include "graph/memory/exact_planner.h"
#include "graph/memory/liveness.h"
#include "graph/memory/order_search.h"
#include "graph/passes/pass_manager.h"
#include "tests/graph/memory/exhaustive_orders.h"
#include "tests/graph/memory/test_graphs.h"
#include "tests/support/arena_check.h"

namespace pocketune {
namespace {

TEST(PlanMemoryTest, RandomGraphsPassTheVerifierInTightArenas) {
  int64_t planned = 0;
  int64_t bound = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Graph graph = testing::RandomMemoryGraph(seed, 43);
    PassContext context;
    context.kernels = ReferenceKernels();
    ASSERT_TRUE(RunPasses(graph, context, {"select_kernels", "reorder", "mark_inplace"}).ok());
    for (size_t n = 0; n < graph.nodes.size(); n += 5) graph.nodes[n].scratch_bytes = 100 + n;
    graph.stage = Stage::kScheduled;
    ASSERT_TRUE(RunPlanMemory(graph, context).ok());
    ASSERT_EQ(graph.stage, Stage::kPlanned);
    ASSERT_TRUE(Verify(graph).ok()) << "seed " << seed << ": " << Verify(graph);
    const int64_t lower = LivenessOf(graph).lower_bound_bytes;
    ASSERT_GE(graph.arena_bytes, lower + kReadAheadBytes);
    planned += graph.arena_bytes - kReadAheadBytes;
    bound += lower;
  }
  RecordProperty("arena_over_lower_bound", std::to_string(double(planned) / double(bound)));
  EXPECT_LE(double(planned), 1.02 * double(bound));
}

// What all orders take at least, with the best places for each.
int64_t SmallestArena(const Graph& graph, PassContext& context) {
  int64_t smallest = std::numeric_limits<int64_t>::max();
  testing::ForEachOrder(graph, [&](const std::vector<NodeId>& order) {
    Graph ordered = graph;
    ApplyOrder(ordered, order);
    EXPECT_TRUE(RunMarkInplace(ordered, context).ok());
    const Liveness live = LivenessOf(ordered);
    if (live.lower_bound_bytes >= smallest) return;
    const std::optional<ArenaLayout> layout = PlanArenaExactly(live.buffers);
    ASSERT_TRUE(layout.has_value());
    smallest = std::min(smallest, layout->bytes);
  });
  return smallest;
}

TEST(PlanMemoryTest, NoOrderAndNoPlacesTakeLessThanThePlanOfASmallGraph) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = testing::RandomMemoryGraph(seed, 8);
    PassContext context;
    context.kernels = ReferenceKernels();
    Graph planned = graph;
    const std::vector<std::string> passes = {"select_kernels", "reorder", "mark_inplace"};
    ASSERT_TRUE(RunPasses(planned, context, passes).ok());
    planned.stage = Stage::kScheduled;
    ASSERT_TRUE(RunPlanMemory(planned, context).ok());
    test::ExpectNothingAliveIsOverwritten(planned);
    EXPECT_EQ(planned.arena_bytes - kReadAheadBytes, SmallestArena(graph, context));
  }
}

TEST(PlanMemoryTest, AWholeTrainingGraphIsPlanned) {
  Graph graph = testing::TrainingGraph(2, 32, 6).graph;
  PassContext context;
  context.kernels = ReferenceKernels();
  const absl::Status status = PlanGraph(graph, context);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(graph.stage, Stage::kPlanned);
  const double lower = double(LivenessOf(graph).lower_bound_bytes);
  EXPECT_LE(double(graph.arena_bytes - kReadAheadBytes), 1.02 * lower);
}

}  // namespace
}  // namespace pocketune
