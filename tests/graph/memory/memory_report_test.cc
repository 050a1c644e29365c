#include "graph/memory/memory_report.h"

#include "graph/ir/builder.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace pocketune {
namespace {

Graph PlannedGraph() {
  Graph graph;
  GraphBuilder b(&graph);
  const ValueId x = graph.AddInput("x", {Shape{17}});
  b.set_loc("first");
  const ValueId y = b.Op(OpKind::kRelu, {x});
  b.set_phase(Phase::kBackward);
  b.set_loc("");
  const ValueId z = b.Op(OpKind::kTanh, {y});
  graph.outputs = {{"z", z}};
  graph.nodes[1].scratch_bytes = 64;
  graph.nodes[1].scratch_offset = 256;
  graph.offsets = {128, 0, 128};
  graph.arena_bytes = 448;
  return graph;
}

TEST(MemoryReportTest, TextListsBuffersByOffset) {
  EXPECT_EQ(MemoryMapText(PlannedGraph()),
            "arena 448 bytes, lower bound 320 at step 1\n"
            "[0,1] 0 128 relu#0 first\n"
            "[0,0] 128 128 x\n"
            "[1,1] 128 128 tanh#1\n"
            "[1,1] 256 64 scratch of tanh#1\n");
}

TEST(MemoryReportTest, JsonHoldsStepsPhasesAndBuffers) {
  const nlohmann::json json = nlohmann::json::parse(MemoryMapJson(PlannedGraph()));
  EXPECT_EQ(json["arena_bytes"], 448);
  EXPECT_EQ(json["lower_bound_bytes"], 320);
  EXPECT_EQ(json["peak_step"], 1);
  EXPECT_EQ(json["live_bytes"], (std::vector<int64_t>{256, 320}));
  ASSERT_EQ(json["phases"].size(), 2u);
  EXPECT_EQ(json["phases"][1], (nlohmann::json{{"phase", "bwd"}, {"first", 1}, {"last", 1}}));
  EXPECT_EQ(json["steps"][0], (nlohmann::json{{"op", "relu"}, {"loc", "first"}}));
  ASSERT_EQ(json["buffers"].size(), 4u);
  EXPECT_EQ(json["buffers"][3]["scratch"], true);
}

}  // namespace
}  // namespace pocketune
