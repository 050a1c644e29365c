// What a kernel is asked about a node, the same for choosing it and for counting its memory.
#pragma once

#include <vector>

#include "backends/api/kernel.h"
#include "graph/ir/graph.h"

namespace pocketune {

// Operand i is constant: a kConst, or a parameter that no schedule trains.
inline bool IsConstant(const Value& value) {
  return value.kind == ValueKind::kConst || (value.kind == ValueKind::kParam && !value.trainable);
}

// Owns the types that `query` points to. Refers to the node's attributes: the graph must live on
// and not change meanwhile.
struct NodeQuery {
  NodeQuery(const Graph& graph, const Node& node, Isa isa, int slots)
      : operands(TypesOf(graph, node.operands)), results(TypesOf(graph, node.results)) {
    query = {node.op, operands, results, &node.attrs, 0, isa, slots};
    for (size_t i = 0; i < node.operands.size(); ++i) {
      if (IsConstant(graph.value(node.operands[i]))) query.constant_operands |= 1u << i;
    }
  }
  NodeQuery(const NodeQuery&) = delete;
  NodeQuery& operator=(const NodeQuery&) = delete;

  std::vector<TensorType> operands;
  std::vector<TensorType> results;
  KernelQuery query;
};

}  // namespace pocketune
