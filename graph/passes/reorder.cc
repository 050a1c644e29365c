#include "graph/memory/order_search.h"
#include "graph/passes/pass.h"

namespace pocketune {

// Runs each node where the least memory is alive: a weight's gradient as soon as the gradient of
// its layer's result exists, the update right behind it, and what was saved for them is free.
absl::Status RunReorder(Graph& graph, PassContext&) {
  ApplyOrder(graph, SmallestPeakOrder(graph));
  return absl::OkStatus();
}

}  // namespace pocketune
