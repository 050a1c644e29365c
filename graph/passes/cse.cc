#include <map>
#include <string>
#include <utility>

#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

// Equal for nodes that compute the same.
using Key = std::pair<std::pair<OpKind, std::vector<ValueId>>, std::vector<uint8_t>>;

Key KeyOf(const Node& node) {
  std::vector<uint8_t> attrs(node.info().attrs_bytes);
  WriteAttrs(node.attrs, attrs);
  return {{node.op, node.operands}, std::move(attrs)};
}

}  // namespace

// Of nodes with the same op, attributes and operands the first stays. A parameter reads the same
// everywhere: all its readers stand before its update.
absl::Status RunCse(Graph& graph, PassContext&) {
  std::map<Key, NodeId> first;
  std::vector<bool> keep(graph.nodes.size(), true);
  Replacer replacer(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    replacer.Update(graph.nodes[n]);
    const Node& node = graph.nodes[n];
    if (!IsPure(node)) continue;
    const auto [it, is_new] = first.emplace(KeyOf(node), static_cast<NodeId>(n));
    if (is_new) continue;
    const Node& twin = graph.nodes[it->second];
    if (twin.phase > node.phase || graph.type(twin.results[0]) != graph.type(node.results[0])) {
      continue;
    }
    for (size_t i = 0; i < node.results.size(); ++i) {
      replacer.Replace(node.results[i], twin.results[i]);
    }
    keep[n] = false;
  }
  graph.Compact(keep);
  return absl::OkStatus();
}

}  // namespace pocketune
