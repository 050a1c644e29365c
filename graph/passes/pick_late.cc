#include <algorithm>
#include <vector>

#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {

// Slices of a tensor that the backward pass keeps as a whole anyway are picked from it when they
// are needed, not kept beside it.
absl::Status RunPickLate(Graph& graph, PassContext&) {
  const std::vector<std::vector<NodeId>> users = UsersOf(graph);
  std::vector<std::vector<NodeId>> in_front(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    Node& node = graph.nodes[n];
    const std::vector<NodeId>& readers = users[node.results[0]];
    if (!IsPick(node) || readers.empty()) continue;
    const std::vector<NodeId>& others = users[node.operands[0]];
    const bool kept = std::any_of(others.begin(), others.end(), [&](NodeId reader) {
      return graph.nodes[reader].phase != Phase::kForward;
    });
    if (!kept) continue;
    node.phase = Phase::kBackward;
    in_front[readers.front()].push_back(static_cast<NodeId>(n));
  }
  MoveInFront(graph, in_front);
  return absl::OkStatus();
}

}  // namespace pocketune
