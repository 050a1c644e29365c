#include "graph/memory/step_cost.h"

#include <gtest/gtest.h>

#include "graph/ir/text.h"

namespace pocketune {
namespace {

Graph Example() {
  return *Parse(R"(pocketune-ir 1
graph "g" stage=forward {
  %0: f32[1,10,10,64] input "x"
  %1: f32[64,3,3,64] param "w" weight stem
  %2: f32[1,10,10,64] = conv2d(%0, %1) {pad=[1,1,1,1]} fwd
  %3: f32[1,10,10,64] = relu(%2) fwd
  %4: f32[100,64] = reshape(%3) {shape=[100,64]} fwd
}
)");
}

TEST(StepCostTest, ANodeTakesWhateverIsLongerOfItsWorkAndItsTraffic) {
  const Graph graph = Example();
  const double macs = 10.0 * 10 * 64 * 3 * 3 * 64;  // 3.7 M, against 200 KB
  EXPECT_DOUBLE_EQ(CostNs(graph, graph.nodes[0]), kNodeNs + macs / kMacsPerNs);
  const double bytes = 2.0 * 6400 * 4;
  EXPECT_DOUBLE_EQ(CostNs(graph, graph.nodes[1]), kNodeNs + bytes / kBytesPerNs);
}

TEST(StepCostTest, AViewTakesNoTimeAndAGraphTheSumOfItsNodes) {
  const Graph graph = Example();
  EXPECT_EQ(CostNs(graph, graph.nodes[2]), 0.0);
  EXPECT_DOUBLE_EQ(CostNs(graph), CostNs(graph, graph.nodes[0]) + CostNs(graph, graph.nodes[1]));
}

}  // namespace
}  // namespace pocketune
