#include "graph/memory/step_cost.h"

#include <algorithm>

namespace pocketune {

double CostNs(const Graph& graph, const Node& node) {
  if (node.info().Has(kView)) return 0.0;
  int64_t read = 0, written = 0;
  for (ValueId id : node.operands) read += graph.value(id).bytes();
  for (ValueId id : node.results) written += graph.value(id).bytes();
  if (node.op == OpKind::kSlice) read = written;
  const int64_t macs = node.info().Has(kHasMacs) ? MacsOf(node.op, TypesOf(graph, node.operands),
                                                          TypesOf(graph, node.results), node.attrs)
                                                 : 0;
  return kNodeNs + std::max(static_cast<double>(macs) / kMacsPerNs,
                            static_cast<double>(read + written) / kBytesPerNs);
}

double CostNs(const Graph& graph) {
  double ns = 0.0;
  for (const Node& node : graph.nodes) ns += CostNs(graph, node);
  return ns;
}

}  // namespace pocketune
