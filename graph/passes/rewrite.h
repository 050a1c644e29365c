// What several passes ask of a graph while they edit it.
#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// Computes the same from the same operands whenever it runs, and does nothing else.
inline bool IsPure(const Node& node) {
  return !node.info().Has(kUpdate) && node.op != OpKind::kDropout;
}

// Its data is known at compile time and no step changes it.
inline bool IsFixed(const Value& value) {
  return value.data != nullptr &&
         (value.kind == ValueKind::kConst || (value.kind == ValueKind::kParam && !value.trainable));
}

// The activation in a node's attributes, or nullptr where the op fuses none.
Act* ActOf(Attrs& attrs);

// For each value how many operands and outputs it is.
std::vector<int> CountUses(const Graph& graph);

bool IsOutput(const Graph& graph, ValueId id);

// Appends a constant called `name`, with underscores behind it where that is taken.
ValueId AddConstNamed(Graph& graph, std::string name, Shape shape, std::vector<float> data);

// Drops all nodes from which no output and no update depends.
void RemoveDeadNodes(Graph& graph);

}  // namespace pocketune
