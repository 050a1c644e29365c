#include <utility>

#include "engine/base/math.h"
#include "graph/ir/part_form.h"
#include "graph/memory/batch_loops.h"
#include "graph/memory/liveness.h"
#include "graph/memory/order_search.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

// Kernels and scratch for one part of the batch; a sum over the parts needs room for one more
// result. False where no kernel serves a part.
absl::StatusOr<bool> ChooseForParts(Graph& graph, const BatchLoop& loop, PassContext& context) {
  for (NodeId n = loop.first; n <= loop.last; ++n) {
    Node& node = graph.nodes[n];
    const absl::StatusOr<bool> served = SetKernel(graph, node, context, loop.parts);
    if (!served.ok() || !*served) return served;
    if (!PartFormOf(graph, node, loop.parts)->sums) continue;
    node.scratch_bytes = AlignUp(node.scratch_bytes);
    for (ValueId id : node.results) node.scratch_bytes += AlignUp(graph.value(id).bytes());
  }
  return true;
}

// The arena's lower bound once results take the places of operands.
absl::StatusOr<int64_t> PeakOf(Graph graph, PassContext& context) {
  if (absl::Status status = RunMarkInplace(graph, context); !status.ok()) return status;
  return LivenessOf(graph).lower_bound_bytes;
}

}  // namespace

// Lets nodes run on parts of the batch, one part after the other, where what they hand on does not
// fit in the caches, as long as that raises no peak.
absl::Status RunLoopBatch(Graph& graph, PassContext& context) {
  if (context.kernels.empty()) return absl::OkStatus();
  absl::StatusOr<int64_t> peak = PeakOf(graph, context);
  if (!peak.ok()) return peak.status();
  for (NodeId begin = 0;;) {
    const LoopPlan plan = FindBatchLoop(graph, begin, context.cached_bytes);
    if (plan.loop.parts == 0) return absl::OkStatus();
    Graph looped = graph;
    ApplyOrder(looped, plan.order);
    looped.loops.push_back(plan.loop);
    MarkParts(looped);
    const absl::StatusOr<bool> served = ChooseForParts(looped, plan.loop, context);
    if (!served.ok()) return served.status();
    const absl::StatusOr<int64_t> looped_peak = PeakOf(looped, context);
    if (!looped_peak.ok()) return looped_peak.status();
    begin = plan.loop.first + 1;
    if (!*served || *looped_peak > *peak) continue;
    peak = *looped_peak;
    begin = plan.loop.last + 1;
    graph = std::move(looped);
  }
}

}  // namespace pocketune
