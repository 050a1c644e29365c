#include "graph/memory/loop_memory.h"

#include <algorithm>
#include <unordered_map>

#include "engine/base/math.h"
#include "graph/ir/part_form.h"

namespace pocketune {
namespace {

// Bytes of one part, of what is made and read in the loop alone; the loop has just run.
std::unordered_map<ValueId, int64_t> PartBytes(const Graph& graph, const LiveSet& live,
                                               std::span<const NodeId> looped, int parts) {
  std::unordered_map<ValueId, int64_t> bytes;
  for (NodeId n : looped) {
    if (PartFormOf(graph, graph.nodes[n], parts)->sums) continue;
    for (ValueId root : live.defines(n)) {
      if (live.readers(root) == 0) bytes[root] = AlignUp(graph.value(root).bytes() / parts);
    }
  }
  return bytes;
}

}  // namespace

LoopMemory::LoopMemory(const Graph& graph, int64_t peak_bytes)
    : graph_(graph), live_(graph), later_(graph.nodes.size() + 1, 0), peak_bytes_(peak_bytes) {
  LiveSet live = live_;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    later_[n] = live.BytesDuring(static_cast<NodeId>(n));
    live.Run(static_cast<NodeId>(n));
  }
  for (size_t n = graph.nodes.size(); n-- > 0;) later_[n] = std::max(later_[n], later_[n + 1]);
}

void LoopMemory::Run(NodeId node) {
  earlier_ = std::max(earlier_, live_.BytesDuring(node));
  live_.Run(node);
  ++place_;
}

bool LoopMemory::RunLoop(const LoopPlan& plan, std::span<const Node> nodes) {
  const std::span<const NodeId> order(plan.order);
  const std::span<const NodeId> left_out = order.subspan(plan.looped);
  const int64_t in_loop = RunParts(plan, nodes);
  int64_t highest = in_loop;
  std::vector<int64_t> behind;
  for (NodeId n : left_out) {
    behind.push_back(live_.BytesDuring(n));
    highest = std::max(highest, behind.back());
    live_.Run(n);
  }
  Undo(left_out);
  if (highest > peak_bytes_) {
    Undo(order.first(plan.looped));
    return false;
  }
  place_ += plan.looped;
  for (size_t i = behind.size(); i-- > 0;) {
    later_[place_ + i] = std::max(behind[i], later_[place_ + i + 1]);
  }
  earlier_ = std::max(earlier_, in_loop);
  peak_bytes_ = std::min(peak_bytes_, std::max(earlier_, later_[place_]));
  return true;
}

// The most that is alive in the loop: all that it reads or makes of the whole batch, to its end,
// and what there is of the part.
int64_t LoopMemory::RunParts(const LoopPlan& plan, std::span<const Node> nodes) {
  const std::span<const NodeId> looped = std::span(plan.order).first(plan.looped);
  int64_t whole = live_.live_bytes();
  for (NodeId n : looped) live_.Run(n);
  const std::unordered_map<ValueId, int64_t> part_bytes =
      PartBytes(graph_, live_, looped, plan.parts);
  Undo(looped);
  for (NodeId n : looped) {
    for (ValueId root : live_.defines(n)) {
      if (!part_bytes.contains(root)) whole += live_.bytes(root);
    }
  }
  const auto bytes_of = [&](ValueId root) {
    const auto part = part_bytes.find(root);
    return part == part_bytes.end() ? 0 : part->second;
  };
  int64_t highest = 0, alive = 0;  // of the part
  for (size_t i = 0; i < looped.size(); ++i) {
    const NodeId n = looped[i];
    for (ValueId root : live_.defines(n)) alive += bytes_of(root);
    int64_t reused = 0;
    for (ValueId root : live_.reuses(n)) {
      if (reused == 0 && live_.readers(root) == 1 && part_bytes.contains(nodes[i].results[0])) {
        reused = bytes_of(root);
      }
    }
    highest = std::max(highest, alive - reused + AlignUp(nodes[i].scratch_bytes));
    live_.Run(n);
    for (ValueId root : live_.reads(n)) {
      if (live_.readers(root) == 0) alive -= bytes_of(root);
    }
  }
  return whole + highest;
}

void LoopMemory::Undo(std::span<const NodeId> order) {
  for (size_t i = order.size(); i-- > 0;) live_.Undo(order[i]);
}

}  // namespace pocketune
