#include "graph/memory/arena_planner.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "engine/base/math.h"
#include "engine/base/rng.h"
#include "graph/memory/exact_planner.h"
#include "graph/memory/order_search.h"
#include "gtest/gtest.h"
#include "tests/graph/memory/test_buffers.h"
#include "tests/graph/memory/test_graphs.h"

namespace pocketune {
namespace {

TEST(ArenaPlannerTest, NoBuffersNeedNoArena) { EXPECT_EQ(PlanArena({}).bytes, 0); }

TEST(ArenaPlannerTest, NothingThatLivesTogetherOverlaps) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::vector<Buffer> buffers = RandomBuffers(seed, 61, 43);
    ExpectSound(buffers, PlanArena(buffers));
  }
}

TEST(ArenaPlannerTest, RandomBuffersAreCloseToTheLowerBound) {
  double sum = 0, worst = 1;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const std::vector<Buffer> buffers = RandomBuffers(seed, 61, 43);
    const double gap = double(PlanArena(buffers).bytes) / double(LowerBoundOf(buffers));
    sum += gap;
    worst = std::max(worst, gap);
  }
  RecordProperty("mean_gap", std::to_string(sum / 30));
  RecordProperty("worst_gap", std::to_string(worst));
  EXPECT_LE(sum / 30, 1.01) << "worst " << worst;
}

TEST(ArenaPlannerTest, BuffersThatNeverMeetShareTheirPlace) {
  std::vector<Buffer> buffers(5);
  for (int i = 0; i < 5; ++i) buffers[i] = {i, kNone, 64 * (i + 1), i, i};
  EXPECT_EQ(PlanArena(buffers).bytes, 64 * 5);
}

TEST(ExactPlannerTest, IsSoundAndNeverWorseThanBestFit) {
  int proven = 0;
  double worst = 1.0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::vector<Buffer> buffers = RandomBuffers(seed, 11, 13);
    const std::optional<ArenaLayout> exact = PlanArenaExactly(buffers, 200'000);
    if (!exact.has_value()) continue;
    ++proven;
    ExpectSound(buffers, *exact);
    const int64_t heuristic = PlanArena(buffers).bytes;
    ASSERT_LE(exact->bytes, heuristic) << "seed " << seed;
    worst = std::max(worst, double(heuristic) / double(exact->bytes));
  }
  RecordProperty("proven_of_100", proven);
  RecordProperty("worst_best_fit_over_optimum", std::to_string(worst));
  EXPECT_GE(proven, 95);
}

// The search must not trust the heuristic that it starts from: compares with all permutations of
// stacking, each of which is a layout.
TEST(ExactPlannerTest, NoOrderOfStackingIsSmaller) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const std::vector<Buffer> buffers = RandomBuffers(seed, 7, 5);
    std::vector<int> order = {0, 1, 2, 3, 4, 5, 6};
    int64_t smallest = std::numeric_limits<int64_t>::max();
    do {
      std::vector<int64_t> offsets(buffers.size(), 0);
      int64_t top = 0;
      for (size_t k = 0; k < order.size(); ++k) {
        for (size_t j = 0; j < k; ++j) {
          if (!buffers[order[k]].Overlaps(buffers[order[j]])) continue;
          offsets[order[k]] =
              std::max(offsets[order[k]], offsets[order[j]] + buffers[order[j]].bytes);
        }
        top = std::max(top, offsets[order[k]] + buffers[order[k]].bytes);
      }
      smallest = std::min(smallest, top);
    } while (std::next_permutation(order.begin(), order.end()));
    const std::optional<ArenaLayout> exact = PlanArenaExactly(buffers);
    ASSERT_TRUE(exact.has_value());
    ASSERT_EQ(exact->bytes, smallest) << "seed " << seed;
  }
}

TEST(ExactPlannerTest, GivesUpWhenItsBudgetIsSpent) {
  for (uint64_t seed = 0;; ++seed) {
    ASSERT_LT(seed, 500u) << "best fit meets the lower bound everywhere";
    const std::vector<Buffer> buffers = RandomBuffers(seed, 19, 17);
    if (PlanArena(buffers).bytes == LowerBoundOf(buffers)) continue;
    EXPECT_FALSE(PlanArenaExactly(buffers, 1).has_value());
    return;
  }
}

TEST(ArenaPlannerTest, TrainingGraphsAreWithinTwoPercentOfTheLowerBound) {
  for (const int blocks : {5, 17}) {
    Graph graph = testing::TrainingGraph(2, 32, blocks).graph;
    ApplyOrder(graph, SmallestPeakOrder(graph));
    const Liveness live = LivenessOf(graph);
    const ArenaLayout layout = PlanArena(live.buffers);
    ExpectSound(live.buffers, layout);
    const double gap = double(layout.bytes) / double(live.lower_bound_bytes);
    RecordProperty("gap_of_" + std::to_string(blocks) + "_blocks", std::to_string(gap));
    EXPECT_LE(gap, 1.02);
  }
}

// As training a deep chain leaves them: what the forward pass saves lives until the backward pass
// comes back to it, and each node has a result for the next.
std::vector<Buffer> DeepBuffers(int depth) {
  const RandomStream random(5, "deep");
  std::vector<Buffer> buffers;
  for (int n = 0; n < 2 * depth; ++n) {
    const int64_t bytes = kAlignment * (1 + random.Below(static_cast<uint64_t>(n), 31));
    buffers.push_back({n, kNone, bytes, n, std::min(n + 1, 2 * depth - 1)});
    if (n < depth) buffers.push_back({n, kNone, 2 * bytes, n, 2 * depth - 1 - n});
  }
  return buffers;
}

// So many buffers that they are stacked, not compared with each other.
TEST(ArenaPlannerTest, DeepChainsAreWithinTwoPercentOfTheLowerBound) {
  const std::vector<Buffer> buffers = DeepBuffers(1000);
  ASSERT_GT(buffers.size(), 2048u);
  const ArenaLayout layout = PlanArena(buffers);
  ExpectSound(buffers, layout);
  const double gap = double(layout.bytes) / double(LowerBoundOf(buffers));
  RecordProperty("gap", std::to_string(gap));
  EXPECT_LE(gap, 1.02);
}

// Short lives one after the other, as in a forward pass alone: stacked, each would stand on the one
// before.
TEST(ArenaPlannerTest, LongForwardPassesAreCloseToTheLowerBound) {
  const RandomStream random(6, "forward");
  std::vector<Buffer> buffers;
  for (int n = 0; n < 4000; ++n) {
    const int64_t bytes = kAlignment * (1 + random.Below(2 * n, 31));
    const int life = 1 + static_cast<int>(random.Below(2 * n + 1, 3));
    buffers.push_back({n, kNone, bytes, n, std::min(n + life, 3999)});
  }
  const ArenaLayout layout = PlanArena(buffers);
  ExpectSound(buffers, layout);
  const double gap = double(layout.bytes) / double(LowerBoundOf(buffers));
  RecordProperty("gap", std::to_string(gap));
  EXPECT_LE(gap, 1.15);
}

}  // namespace
}  // namespace pocketune
