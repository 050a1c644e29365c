#include <utility>
#include <vector>

#include "graph/memory/liveness.h"
#include "graph/passes/pass.h"

namespace pocketune {

// Lets a result take the bytes of an operand that nobody reads later. The order must be final. A
// result that nobody reads stays without bytes, so that its kernel can leave it out.
absl::Status RunMarkInplace(Graph& graph, PassContext&) {
  const std::vector<ValueId> roots = AliasRootsOf(graph);
  const NodeId end = static_cast<NodeId>(graph.nodes.size());
  std::vector<NodeId> last_reader(graph.values.size(), kNone);  // per root
  for (NodeId n = 0; n < end; ++n) {
    for (ValueId id : graph.nodes[n].operands) last_reader[roots[id]] = n;
  }
  for (const Output& output : graph.outputs) last_reader[roots[output.value]] = end;

  for (NodeId n = 0; n < end; ++n) {
    Node& node = graph.nodes[n];
    if (node.in_place || last_reader[roots[node.results[0]]] == kNone) continue;
    for (int operand = 0; operand < 2; ++operand) {
      if (!FitsInPlace(graph, roots, node, operand)) continue;
      if (last_reader[roots[node.operands[operand]]] != n) continue;
      std::swap(node.operands[0], node.operands[operand]);  // add and mul commute
      node.in_place = true;
      break;
    }
  }
  return absl::OkStatus();
}

}  // namespace pocketune
