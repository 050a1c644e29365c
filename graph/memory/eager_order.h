// The greedy part of the search for an order (order_search.h).
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "graph/memory/live_set.h"

namespace pocketune {

using Order = std::vector<NodeId>;
using Edges = std::vector<std::vector<NodeId>>;  // per node

inline constexpr int64_t kNoCap = std::numeric_limits<int64_t>::max();

// For each node those that name it, in rising order.
Edges ReversedEdges(const Edges& edges);

// Follows the order `base`, but runs at once whatever leaves less alive than there was: a node, or
// a chain of nodes that the node makes ready (a weight's gradient and its update). What needs more
// than `cap_bytes` on its way waits for its turn. `start` stands before the first node; `before`
// has the nodes that must run before each. Time grows as n log n as long as a node or a value has
// few readers that are ready at the same time.
Order EagerOrder(const LiveSet& start, const Edges& before, const Order& base, int64_t cap_bytes);

}  // namespace pocketune
