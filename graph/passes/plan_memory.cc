#include <optional>
#include <utility>

#include "engine/base/math.h"
#include "graph/memory/arena_planner.h"
#include "graph/memory/exact_planner.h"
#include "graph/memory/liveness.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

ArenaLayout BestLayout(const Liveness& live) {
  ArenaLayout layout = PlanArena(live.buffers);
  if (layout.bytes > live.lower_bound_bytes && live.buffers.size() <= kExactBuffers) {
    std::optional<ArenaLayout> exact = PlanArenaExactly(live.buffers);
    if (exact.has_value()) return *std::move(exact);
  }
  return layout;
}

}  // namespace

// Gives every buffer its offset. Kernels are chosen and the order is final.
absl::Status RunPlanMemory(Graph& graph, PassContext&) {
  const Liveness live = LivenessOf(graph);
  const ArenaLayout layout = BestLayout(live);
  graph.offsets.assign(graph.values.size(), kNone);
  for (size_t i = 0; i < graph.values.size(); ++i) {
    if (live.buffer_of[i] != kNone) graph.offsets[i] = layout.offsets[live.buffer_of[i]];
  }
  for (size_t i = 0; i < live.buffers.size(); ++i) {
    const NodeId node = live.buffers[i].scratch_of;
    if (node != kNone) graph.nodes[node].scratch_offset = layout.offsets[i];
  }
  graph.arena_bytes = layout.bytes + kReadAheadBytes;
  graph.stage = Stage::kPlanned;
  return absl::OkStatus();
}

}  // namespace pocketune
