#include <gtest/gtest.h>

#include <string>

#include "graph/ir/verifier.h"
#include "graph/memory/liveness.h"
#include "graph/passes/pass.h"
#include "tests/graph/memory/test_graphs.h"

namespace pocketune {
namespace {

int64_t PeakAfterMarking(Graph graph) {
  PassContext context;
  EXPECT_TRUE(RunMarkInplace(graph, context).ok());
  return LivenessOf(graph).lower_bound_bytes;
}

TEST(ReorderTest, RandomGraphsStayValidAndNeverNeedMore) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Graph before = testing::RandomMemoryGraph(seed, 37);
    Graph after = before;
    PassContext context;
    ASSERT_TRUE(RunReorder(after, context).ok());
    ASSERT_TRUE(Verify(after).ok()) << "seed " << seed << ": " << Verify(after);
    ASSERT_LE(PeakAfterMarking(after), PeakAfterMarking(before)) << "seed " << seed;
  }
}

TEST(ReorderTest, TrainingNeedsLessThanInTheGivenOrder) {
  const Graph before = testing::TrainingGraph(2, 37, 6).graph;
  Graph after = before;
  PassContext context;
  ASSERT_TRUE(RunReorder(after, context).ok());
  ASSERT_TRUE(Verify(after).ok()) << Verify(after);
  EXPECT_LT(PeakAfterMarking(after), PeakAfterMarking(before));
}

TEST(ReorderTest, ARunOnItsOwnResultGainsNothing) {
  Graph once = testing::TrainingGraph(2, 37, 6).graph;
  PassContext context;
  ASSERT_TRUE(RunReorder(once, context).ok());
  Graph twice = once;
  ASSERT_TRUE(RunReorder(twice, context).ok());
  EXPECT_EQ(PeakAfterMarking(twice), PeakAfterMarking(once));
}

}  // namespace
}  // namespace pocketune
