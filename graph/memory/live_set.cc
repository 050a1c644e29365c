#include "graph/memory/live_set.h"

#include <algorithm>
#include <utility>

#include "engine/base/math.h"
#include "graph/memory/liveness.h"

namespace pocketune {

LiveSet::LiveSet(const Graph& graph) {
  const std::vector<ValueId> roots = AliasRootsOf(graph);
  bytes_.assign(graph.values.size(), 0);
  readers_.assign(graph.values.size(), 0);
  std::vector<NodeUse> uses(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    NodeUse& use = uses[n];
    use.scratch_bytes = AlignUp(graph.nodes[n].scratch_bytes);
    for (ValueId id : graph.nodes[n].operands) use.reads.push_back(roots[id]);
    std::sort(use.reads.begin(), use.reads.end());
    use.reads.erase(std::unique(use.reads.begin(), use.reads.end()), use.reads.end());
    for (ValueId root : use.reads) ++readers_[root];
  }
  for (const Output& output : graph.outputs) ++readers_[roots[output.value]];
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    const bool in_arena = value.kind == ValueKind::kInput || value.kind == ValueKind::kResult;
    if (!in_arena || roots[i] != static_cast<ValueId>(i) || readers_[i] == 0) continue;
    bytes_[i] = AlignUp(value.bytes());
    if (value.kind == ValueKind::kInput) {
      live_bytes_ += bytes_[i];
    } else {
      uses[value.producer].defines.push_back(static_cast<ValueId>(i));
    }
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const std::vector<ValueId>& defines = uses[n].defines;
    if (std::find(defines.begin(), defines.end(), node.results[0]) == defines.end()) continue;
    for (int operand = 0; operand < 2; ++operand) {
      if (FitsInPlace(graph, roots, node, operand)) {
        uses[n].reuses.push_back(roots[node.operands[operand]]);
      }
    }
  }
  uses_ = std::make_shared<const std::vector<NodeUse>>(std::move(uses));
}

int64_t LiveSet::BytesDuring(NodeId node) const {
  const NodeUse& use = (*uses_)[node];
  int64_t bytes = live_bytes_ + use.scratch_bytes;
  for (ValueId root : use.defines) bytes += bytes_[root];
  for (ValueId root : use.reuses) {
    if (readers_[root] == 1) return bytes - bytes_[root];
  }
  return bytes;
}

void LiveSet::Run(NodeId node) {
  for (ValueId root : (*uses_)[node].defines) live_bytes_ += bytes_[root];
  for (ValueId root : (*uses_)[node].reads) {
    if (--readers_[root] == 0) live_bytes_ -= bytes_[root];
  }
}

void LiveSet::Undo(NodeId node) {
  for (ValueId root : (*uses_)[node].reads) {
    if (readers_[root]++ == 0) live_bytes_ += bytes_[root];
  }
  for (ValueId root : (*uses_)[node].defines) live_bytes_ -= bytes_[root];
}

int64_t PeakBytesOf(const Graph& graph, const std::vector<NodeId>& order) {
  LiveSet live(graph);
  int64_t peak = 0;
  for (NodeId node : order) {
    peak = std::max(peak, live.BytesDuring(node));
    live.Run(node);
  }
  return peak;
}

}  // namespace pocketune
