#include "graph/memory/remat_search.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "graph/ir/text.h"

namespace pocketune {
namespace {

// A chain of `layers` activations of 4 KiB with a gradient each: all are kept for it.
Graph Chain(int layers) {
  std::string text =
      "pocketune-ir 1\ngraph \"chain\" stage=training {\n"
      "  %0: f32[1024] input \"x\"\n  %1: f32[1024] input \"dy\"\n";
  for (int i = 0; i < layers; ++i) {
    absl::StrAppend(&text, "  %", i + 2, ": f32[1024] = ", "tanh(%", i == 0 ? 0 : i + 1, ") fwd\n");
  }
  for (int i = 0; i < layers; ++i) {
    const int dy = i == 0 ? 1 : layers + 1 + i;
    absl::StrAppend(&text, "  %", layers + 2 + i, ": f32[1024] = tanh_grad(%", dy, ", %",
                    layers + 1 - i, ") bwd\n");
  }
  absl::StrAppend(&text, "  return %", 2 * layers + 1, " \"dx\"\n}\n");
  absl::StatusOr<Graph> graph = Parse(text);
  EXPECT_TRUE(graph.ok()) << graph.status();
  return *std::move(graph);
}

TEST(RematSearchTest, NothingRunsAgainWhereTheTargetIsMet) {
  const Graph graph = Chain(8);
  const RematPlan plan = SearchRemat(graph, int64_t{1} << 20);
  EXPECT_EQ(plan.second_runs, 0);
  EXPECT_EQ(plan.extra_ns, 0.0);
  EXPECT_EQ(plan.order.size(), graph.nodes.size());
}

TEST(RematSearchTest, AChainNeedsFarLessThanItsLengthAndNoNodeRunsThrice) {
  constexpr int kLayers = 64;
  const Graph graph = Chain(kLayers);
  const int64_t kept = SearchRemat(graph, int64_t{1} << 20).peak_bytes;
  EXPECT_GT(kept, kLayers * 4096);
  for (const int64_t target : {kept * 3 / 4, kept / 2}) {
    const RematPlan plan = SearchRemat(graph, target);
    EXPECT_LE(plan.peak_bytes, target);
    EXPECT_LE(plan.second_runs, kLayers);
    EXPECT_GT(plan.extra_ns, 0.0);
  }
}

TEST(RematSearchTest, LessMemoryNeverCostsLess) {
  const Graph graph = Chain(32);
  const int64_t kept = SearchRemat(graph, int64_t{1} << 20).peak_bytes;
  double cost = 0.0;
  for (const double share : {0.9, 0.7, 0.5}) {
    const RematPlan plan = SearchRemat(graph, static_cast<int64_t>(share * double(kept)));
    EXPECT_GE(plan.extra_ns, cost) << share;
    cost = plan.extra_ns;
  }
}

TEST(RematSearchTest, ANormalizationRunsAgainWithTheStatisticsItFound) {
  const Graph graph = *Parse(R"(pocketune-ir 1
graph "g" stage=training {
  %0: f32[8,4] input "x"
  %1: f32[4] param "scale" norm_scale stem train
  %2: f32[4] param "shift" norm_shift stem train
  %3: f32[8,4], %4: f32[4], %5: f32[4] = batch_norm(%0, %1, %2) fwd
  return %4 "mean"
}
)");
  EXPECT_EQ(SecondOpOf(graph.nodes[0]), OpKind::kBatchNormFrozen);
  EXPECT_EQ(SecondOperandsOf(graph.nodes[0]), (std::vector<ValueId>{0, 1, 2, 4, 5}));
}

}  // namespace
}  // namespace pocketune
