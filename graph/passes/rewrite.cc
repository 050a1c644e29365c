#include "graph/passes/rewrite.h"

#include <memory>
#include <utility>

namespace pocketune {

Act* ActOf(Attrs& attrs) {
  return std::visit(
      [](auto& a) -> Act* {
        if constexpr (requires { a.act; }) {
          return &a.act;
        } else {
          return nullptr;
        }
      },
      attrs);
}

std::vector<int> CountUses(const Graph& graph) {
  std::vector<int> uses(graph.values.size(), 0);
  for (const Node& node : graph.nodes) {
    for (ValueId id : node.operands) ++uses[id];
  }
  for (const Output& output : graph.outputs) ++uses[output.value];
  return uses;
}

bool IsOutput(const Graph& graph, ValueId id) {
  for (const Output& output : graph.outputs) {
    if (output.value == id) return true;
  }
  return false;
}

ValueId AddConstNamed(Graph& graph, std::string name, Shape shape, std::vector<float> data) {
  while (graph.FindValue(name, ValueKind::kConst) != kNone) name += "_";
  return graph.AddConst(std::move(name), shape,
                        std::make_shared<const std::vector<float>>(std::move(data)));
}

void RemoveDeadNodes(Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  for (const Output& output : graph.outputs) needed[output.value] = true;
  std::vector<bool> keep(graph.nodes.size(), false);
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    keep[n] = node.info().Has(kUpdate);
    for (ValueId id : node.results) keep[n] = keep[n] || needed[id];
    if (!keep[n]) continue;
    for (ValueId id : node.operands) needed[id] = true;
  }
  graph.Compact(keep);
}

}  // namespace pocketune
