#include "graph/passes/rewrite.h"

#include <memory>
#include <utility>

#include "graph/memory/order_search.h"

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

std::optional<GateAttrs> GateOf(const Node& node) {
  if (node.phase != Phase::kBackward) return std::nullopt;
  if (node.op == OpKind::kReluGrad) return GateAttrs{.act = Act::kRelu};
  if (node.op == OpKind::kRelu6Grad) return GateAttrs{.act = Act::kRelu6};
  if (node.op != OpKind::kClampGrad) return std::nullopt;
  const ClampAttrs& clamp = std::get<ClampAttrs>(node.attrs);
  return GateAttrs{.lo = clamp.lo, .hi = clamp.hi};
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

void Replacer::Replace(ValueId from, ValueId to) {
  by_.resize(graph_.values.size(), kNone);
  by_[from] = to;
  for (Output& output : graph_.outputs) {
    if (output.value == from) output.value = to;
  }
}

void Replacer::Update(Node& node) const {
  for (ValueId& id : node.operands) {
    if (id < static_cast<ValueId>(by_.size()) && by_[id] != kNone) id = by_[id];
  }
}

ConstAdder::ConstAdder(Graph& graph) : graph_(graph) {
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kConst) taken_.insert(value.name);
  }
}

ValueId ConstAdder::Add(const std::string& name, Shape shape, std::vector<float> data) {
  std::string& last = last_[name];
  std::string free = last.empty() ? name : last + "_";
  while (!taken_.insert(free).second) free += "_";
  last = free;
  return graph_.AddConst(std::move(free), shape,
                         std::make_shared<const std::vector<float>>(std::move(data)));
}

void MoveInFront(Graph& graph, const std::vector<std::vector<NodeId>>& in_front) {
  std::vector<bool> moves(graph.nodes.size(), false);
  for (const std::vector<NodeId>& moved : in_front) {
    for (NodeId n : moved) moves[n] = true;
  }
  std::vector<NodeId> order;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    order.insert(order.end(), in_front[n].begin(), in_front[n].end());
    if (!moves[n]) order.push_back(static_cast<NodeId>(n));
  }
  ApplyOrder(graph, order);
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
