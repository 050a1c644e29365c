#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {

// Drops nodes from which no output and no update depends, and then values that nothing refers to.
absl::Status RunDce(Graph& graph, PassContext&) {
  RemoveDeadNodes(graph);
  return absl::OkStatus();
}

}  // namespace pocketune
