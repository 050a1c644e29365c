#include <algorithm>
#include <utility>
#include <vector>

#include "graph/memory/liveness.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

// Does nobody need the bytes of operand 0 of node `n` behind it?
bool DiesAt(const Graph& graph, const std::vector<ValueId>& roots, NodeId n) {
  const ValueId root = roots[graph.nodes[n].operands[0]];
  for (size_t later = static_cast<size_t>(n) + 1; later < graph.nodes.size(); ++later) {
    for (ValueId id : graph.nodes[later].operands) {
      if (roots[id] == root) return false;
    }
  }
  return std::none_of(graph.outputs.begin(), graph.outputs.end(),
                      [&](const Output& output) { return roots[output.value] == root; });
}

// In a loop only what exists in parts may be overwritten, by what does too: of a whole value later
// parts are still needed.
bool SuitsLoop(const Graph& graph, const BatchLoop* loop, const Node& node, size_t operand) {
  if (loop == nullptr) return true;
  return operand < node.operands.size() && graph.value(node.operands[operand]).parts > 1 &&
         graph.value(node.results[0]).parts > 1;
}

// Where the most is alive a smaller result takes the place of its operand, as long as that lowers
// the peak.
void ShrinkAtPeak(Graph& graph) {
  if (graph.nodes.empty()) return;
  const int64_t before = LivenessOf(graph).lower_bound_bytes;
  const std::vector<const BatchLoop*> loop_of = LoopsOf(graph);
  std::vector<NodeId> marked;
  for (;;) {
    const Liveness live = LivenessOf(graph);
    const auto peak = std::max_element(live.live_bytes.begin(), live.live_bytes.end());
    const NodeId n = static_cast<NodeId>(peak - live.live_bytes.begin());
    if (SuitsLoop(graph, loop_of[n], graph.nodes[n], 0) &&
        ShrinksInPlace(graph, live.roots, graph.nodes[n]) && DiesAt(graph, live.roots, n)) {
      graph.nodes[n].in_place = true;
      marked.push_back(n);
      continue;
    }
    if (*peak < before) return;
    break;
  }
  for (NodeId n : marked) graph.nodes[n].in_place = false;
}

}  // namespace

// Lets a result take the bytes of an operand that nobody reads later. The order must be final. A
// result that nobody reads stays without bytes, so that its kernel can leave it out.
absl::Status RunMarkInplace(Graph& graph, PassContext&) {
  const std::vector<ValueId> roots = AliasRootsOf(graph);
  const std::vector<const BatchLoop*> loop_of = LoopsOf(graph);
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
      if (!SuitsLoop(graph, loop_of[n], node, static_cast<size_t>(operand))) continue;
      if (!FitsInPlace(graph, roots, node, operand)) continue;
      if (last_reader[roots[node.operands[operand]]] != n) continue;
      std::swap(node.operands[0], node.operands[operand]);  // add and mul commute
      node.in_place = true;
      break;
    }
  }
  ShrinkAtPeak(graph);
  return absl::OkStatus();
}

}  // namespace pocketune
