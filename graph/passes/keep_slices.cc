#include <vector>

#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

// The node in front of which `pick` should stand, or kNone where it should stay: the last forward
// node that reads its operand.
NodeId PlaceOf(const Graph& graph, const std::vector<NodeId>& readers, NodeId pick) {
  NodeId last = kNone;
  for (NodeId n : readers) {
    const Node& node = graph.nodes[n];
    if (node.phase == Phase::kForward && !IsPick(node) && n < pick) last = n;
  }
  return last;
}

}  // namespace

// Where the backward pass needs slices of a tensor alone, picks them while the forward pass still
// has it: the rest is free then.
absl::Status RunKeepSlices(Graph& graph, PassContext&) {
  const std::vector<std::vector<NodeId>> users = UsersOf(graph);
  std::vector<std::vector<NodeId>> in_front(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (!IsPick(node)) continue;
    const NodeId place = PlaceOf(graph, users[node.operands[0]], static_cast<NodeId>(n));
    if (place == kNone) continue;
    in_front[place].push_back(static_cast<NodeId>(n));
  }
  MoveInFront(graph, in_front);
  return absl::OkStatus();
}

}  // namespace pocketune
