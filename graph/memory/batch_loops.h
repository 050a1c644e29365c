// Which nodes run on parts of the batch, one part after the other, so that what they hand on to
// each other stays in the caches.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// A loop and the order that makes its nodes neighbours.
struct LoopPlan {
  std::vector<NodeId> order;
  BatchLoop loop;  // of the order's positions
};

// Samples that run together: dimension 0 of the first input; 1 where there is none.
int64_t BatchOf(const Graph& graph);

// The next loop that pays, of nodes from `begin` on; its `parts` is 0 where there is none. Nodes
// before `begin` stay where they are. What a loop leaves out runs behind it. Tensors of at most
// `cached_bytes` are read from a cache anyway, and parts are made so small if the batch allows.
LoopPlan FindBatchLoop(const Graph& graph, NodeId begin, int64_t cached_bytes);

// Marks the values that need room for one part alone, given the graph's loops.
void MarkParts(Graph& graph);

}  // namespace pocketune
