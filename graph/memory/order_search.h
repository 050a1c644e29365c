// Looks for an order of execution that needs less memory.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// Nodes that must run before each node: PredecessorsOf and, where a node is already marked
// in-place, all that read the bytes before it overwrites them.
std::vector<std::vector<NodeId>> DependenciesOf(const Graph& graph);

// A valid order whose peak (PeakBytesOf) is the smallest found, never above that of the given
// order; the given order itself where nothing is gained. Heuristics: run at once what shrinks live
// memory, on top of the given order and of a depth-first one; then exact search in a sliding
// window. Deterministic; time grows with nodes * (ready nodes + 2^window).
std::vector<NodeId> SmallestPeakOrder(const Graph& graph);

// An order with the smallest possible peak. Time and memory grow as 2^nodes; at most 20 nodes.
std::vector<NodeId> ExactOrder(const Graph& graph);

// Makes `order` (old node ids) the order of the graph.
void ApplyOrder(Graph& graph, const std::vector<NodeId>& order);

}  // namespace pocketune
