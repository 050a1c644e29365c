// How a node runs on parts of the batch.
#pragma once

#include <optional>

#include "engine/ops/batch_part.h"
#include "graph/ir/graph.h"

namespace pocketune {

// As PartFormOf of the node's op, types and attributes.
inline std::optional<PartForm> PartFormOf(const Graph& graph, const Node& node, int parts) {
  return PartFormOf(node.op, TypesOf(graph, node.operands), TypesOf(graph, node.results),
                    node.attrs, parts);
}

}  // namespace pocketune
