#include <string>

#include "absl/strings/str_cat.h"
#include "graph/base/status_macros.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

std::string Describe(const Graph& graph, const Node& node) {
  std::string text = absl::StrCat(node.info().name, "(");
  for (size_t i = 0; i < node.operands.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", ToString(graph.type(node.operands[i])));
  }
  return text + ")";
}

}  // namespace

// Picks for each node the kernel that was measured to be the fastest, or without measurements the
// first row of the table that serves it, and asks how much scratch it needs.
absl::Status RunSelectKernels(Graph& graph, PassContext& context) {
  for (Node& node : graph.nodes) {
    PT_TRY_ASSIGN(const bool served, SetKernel(graph, node, context));
    if (!served) {
      return absl::UnimplementedError(
          absl::StrCat(node.loc.empty() ? std::string("select_kernels") : node.loc,
                       ": no kernel of this backend serves ", Describe(graph, node)));
    }
  }
  return absl::OkStatus();
}

}  // namespace pocketune
