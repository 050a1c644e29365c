#include <vector>

#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {

// Evaluation drops nothing: dropout, which keeps its operand's mean, is the identity there
// (Srivastava et al., JMLR 15, 2014, section 4, in the form that scales during training).
absl::Status RunRemoveDropout(Graph& graph, PassContext&) {
  std::vector<bool> keep(graph.nodes.size(), true);
  Replacer replacer(graph);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    replacer.Update(graph.nodes[i]);
    if (graph.nodes[i].op != OpKind::kDropout) continue;
    keep[i] = false;
    replacer.Replace(graph.nodes[i].results[0], graph.nodes[i].operands[0]);
  }
  graph.Compact(keep);
  return absl::OkStatus();
}

}  // namespace pocketune
