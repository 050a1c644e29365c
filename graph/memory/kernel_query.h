// What a kernel is asked about a node, the same for choosing it and for counting its memory.
#pragma once

#include <vector>

#include "backends/api/kernel.h"
#include "engine/ops/batch_part.h"
#include "graph/ir/graph.h"

namespace pocketune {

// Operand i is constant: a kConst, or a parameter that no schedule trains.
inline bool IsConstant(const Value& value) {
  return value.kind == ValueKind::kConst || (value.kind == ValueKind::kParam && !value.trainable);
}

// Owns the types and attributes that `query` points to: of one part of the batch where the node
// runs on `parts` of them.
struct NodeQuery {
  NodeQuery(const Graph& graph, const Node& node, Isa isa, int slots, int parts = 1)
      : operands(TypesOf(graph, node.operands)),
        results(TypesOf(graph, node.results)),
        attrs(node.attrs) {
    if (parts > 1) TakePart(node, parts);
    query = {node.op, operands, results, &attrs, 0, isa, slots};
    for (size_t i = 0; i < node.operands.size(); ++i) {
      if (IsConstant(graph.value(node.operands[i]))) query.constant_operands |= 1u << i;
    }
  }
  NodeQuery(const NodeQuery&) = delete;
  NodeQuery& operator=(const NodeQuery&) = delete;

  std::vector<TensorType> operands;
  std::vector<TensorType> results;
  Attrs attrs;
  KernelQuery query;

 private:
  void TakePart(const Node& node, int parts) {
    const PartForm form = *PartFormOf(node.op, operands, results, attrs, parts);
    for (size_t i = 0; i < operands.size(); ++i) {
      if (form.cuts(i)) operands[i] = PartOf(operands[i], parts);
    }
    for (TensorType& result : results) {
      if (!form.sums) result = PartOf(result, parts);
    }
    attrs = PartOf(attrs, parts);
  }
};

}  // namespace pocketune
