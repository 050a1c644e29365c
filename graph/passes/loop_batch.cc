#include <algorithm>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/math.h"
#include "graph/base/status_macros.h"
#include "graph/ir/part_form.h"
#include "graph/memory/batch_loops.h"
#include "graph/memory/liveness.h"
#include "graph/memory/loop_memory.h"
#include "graph/memory/order_search.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

// Loops that would raise the peak may have so many nodes, all together, for each of the graph's.
// From then on a loop is looked for in the next few alone, so that time grows as the graph does.
constexpr size_t kVainPerNode = 256;
constexpr size_t kFewNodes = 64;

// The loop's nodes with kernels and scratch for one part of the batch; a sum over the parts needs
// room for one more result. None where no kernel serves a part.
absl::StatusOr<std::vector<Node>> NodesForParts(const Graph& graph, const LoopPlan& plan,
                                                const PassContext& context) {
  std::vector<Node> nodes;
  for (NodeId n : std::span(plan.order).first(plan.looped)) {
    Node& node = nodes.emplace_back(graph.nodes[n]);
    PT_TRY_ASSIGN(const bool served, SetKernel(graph, node, context, plan.parts));
    if (!served) return std::vector<Node>();
    if (!PartFormOf(graph, node, plan.parts)->sums) continue;
    node.scratch_bytes = AlignUp(node.scratch_bytes);
    for (ValueId id : node.results) node.scratch_bytes += AlignUp(graph.value(id).bytes());
  }
  return nodes;
}

// The arena's lower bound once results take the places of operands.
absl::StatusOr<int64_t> PeakOf(Graph graph, PassContext& context) {
  PT_TRY(RunMarkInplace(graph, context));
  return LivenessOf(graph).lower_bound_bytes;
}

// Gives the graph its loops and their nodes kernels; the order that both are of is still to be
// applied.
absl::StatusOr<std::vector<NodeId>> FormLoops(Graph& graph, int64_t peak,
                                              const PassContext& context) {
  const LoopFinder finder(graph, context.cached_bytes);
  LoopMemory memory(graph, peak);
  std::vector<NodeId> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  size_t vain = 0;
  for (size_t at = 0; at < order.size();) {
    const size_t reach = vain > kVainPerNode * order.size() ? kFewNodes : order.size();
    const LoopPlan plan =
        finder.StartingAt(std::span(order).subspan(at, std::min(reach, order.size() - at)));
    PT_TRY_ASSIGN(std::vector<Node> nodes, NodesForParts(graph, plan, context));
    if (nodes.empty() || !memory.RunLoop(plan, nodes)) {
      vain += plan.order.size();
      memory.Run(order[at++]);
      continue;
    }
    for (size_t i = 0; i < plan.looped; ++i) graph.nodes[plan.order[i]] = std::move(nodes[i]);
    std::copy(plan.order.begin(), plan.order.end(), order.begin() + static_cast<int64_t>(at));
    const NodeId first = static_cast<NodeId>(at);
    at += plan.looped;
    graph.loops.push_back({first, static_cast<NodeId>(at) - 1, plan.parts});
  }
  return order;
}

}  // namespace

// Lets nodes run on parts of the batch, one part after the other, where what they hand on does not
// fit in the caches, as long as that raises no peak.
absl::Status RunLoopBatch(Graph& graph, PassContext& context) {
  if (context.kernels.empty() || BatchOf(graph) == 1) return absl::OkStatus();
  PT_TRY_ASSIGN(const int64_t peak, PeakOf(graph, context));
  PT_TRY_ASSIGN(const std::vector<NodeId> order, FormLoops(graph, peak, context));
  ApplyOrder(graph, order);
  MarkParts(graph);
  return absl::OkStatus();
}

}  // namespace pocketune
