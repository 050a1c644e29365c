// What a joint graph keeps for its backward pass.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune::test {

// Bytes of all that the forward pass makes and a node behind it reads; of inputs too if asked.
inline int64_t SavedBytes(const Graph& graph, bool with_inputs = false) {
  const std::vector<std::vector<NodeId>> users = UsersOf(graph);
  int64_t bytes = 0;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    const bool forward =
        (with_inputs && value.kind == ValueKind::kInput) ||
        (value.kind == ValueKind::kResult && graph.nodes[value.producer].phase == Phase::kForward);
    const bool saved = std::any_of(users[i].begin(), users[i].end(), [&](NodeId n) {
      return graph.nodes[n].phase != Phase::kForward;
    });
    if (forward && saved) bytes += value.bytes();
  }
  return bytes;
}

}  // namespace pocketune::test
