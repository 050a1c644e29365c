#include "graph/passes/rewrite.h"

#include <gtest/gtest.h>

#include "graph/ir/text.h"
#include "graph/ir/verifier.h"

namespace pocketune {
namespace {

constexpr char kText[] = R"(pocketune-ir 1
graph "three" stage=forward {
  %0: f32[2] input "x"
  %1: f32[2] = relu(%0) fwd
  %2: f32[2] = tanh(%0) fwd
  %3: f32[2] = exp(%0) fwd
  %4: f32[2] = add(%1, %2) fwd
  %5: f32[2] = add(%4, %3) fwd
  return %5 "y"
}
)";

std::vector<OpKind> OpsOf(const Graph& graph) {
  std::vector<OpKind> ops;
  for (const Node& node : graph.nodes) ops.push_back(node.op);
  return ops;
}

class MoveInFrontTest : public testing::Test {
 protected:
  // The ops in their order after nodes in_front[n] were moved right before node n.
  std::vector<OpKind> After(const std::vector<std::vector<NodeId>>& in_front) {
    absl::StatusOr<Graph> graph = Parse(kText);
    EXPECT_TRUE(graph.ok()) << graph.status();
    MoveInFront(*graph, in_front);
    EXPECT_TRUE(Verify(*graph).ok()) << Verify(*graph);
    return OpsOf(*graph);
  }
};

using enum OpKind;

TEST_F(MoveInFrontTest, MovesNodesInTheOrderGiven) {
  EXPECT_EQ(After({{}, {}, {}, {1, 0}, {}}), (std::vector<OpKind>{kExp, kTanh, kRelu, kAdd, kAdd}));
}

TEST_F(MoveInFrontTest, MovesNodesForwardAndBack) {
  EXPECT_EQ(After({{2}, {}, {}, {}, {}}), (std::vector<OpKind>{kExp, kRelu, kTanh, kAdd, kAdd}));
  EXPECT_EQ(After({{}, {}, {}, {}, {2}}), (std::vector<OpKind>{kRelu, kTanh, kAdd, kExp, kAdd}));
}

TEST_F(MoveInFrontTest, LeavesAllInPlaceWhereNothingMoves) {
  EXPECT_EQ(After(std::vector<std::vector<NodeId>>(5)),
            (std::vector<OpKind>{kRelu, kTanh, kExp, kAdd, kAdd}));
}

}  // namespace
}  // namespace pocketune
