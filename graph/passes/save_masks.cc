#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "graph/base/status_macros.h"
#include "graph/memory/live_set.h"
#include "graph/memory/liveness.h"
#include "graph/memory/order_search.h"
#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

class MaskSaver {
 public:
  explicit MaskSaver(Graph& graph)
      : graph_(graph), count_(graph.nodes.size()), roots_(AliasRootsOf(graph)) {}

  absl::Status Run() {
    FindBlocked();
    for (size_t n = 0; n < count_; ++n) {
      const std::optional<GateAttrs> gate = GateOf(graph_.nodes[n]);
      if (!gate.has_value() || blocked_[roots_[graph_.nodes[n].operands[1]]]) continue;
      // A plan has no room for the one dimension of a mask of more bytes.
      if (graph_.shape(graph_.nodes[n].operands[1]).elems() / 8 >= INT32_MAX) continue;
      PT_TRY(Save(static_cast<NodeId>(n), *gate));
    }
    ApplyOrder(graph_, Order());
    return absl::OkStatus();
  }

 private:
  // A mask saves nothing of bytes that are no forward result or that live on for somebody else.
  void FindBlocked() {
    blocked_.assign(graph_.values.size(), false);
    for (size_t i = 0; i < graph_.values.size(); ++i) {
      const NodeId producer = graph_.values[i].producer;
      blocked_[i] = producer == kNone || graph_.nodes[producer].phase != Phase::kForward;
    }
    for (const Output& output : graph_.outputs) blocked_[roots_[output.value]] = true;
    for (const Node& node : graph_.nodes) {
      if (node.phase == Phase::kForward) continue;
      for (size_t i = 0; i < node.operands.size(); ++i) {
        if (i != 1 || !GateOf(node).has_value()) blocked_[roots_[node.operands[i]]] = true;
      }
    }
  }

  // The gradient reads a mask, which is made right behind the value.
  absl::Status Save(NodeId n, const GateAttrs& gate) {
    const ValueId saved = graph_.nodes[n].operands[1];
    const NodeId producer = graph_.value(saved).producer;
    const std::string loc = graph_.nodes[producer].loc;
    const auto [made, first] = masks_.try_emplace({saved, gate.act, gate.lo, gate.hi}, kNone);
    if (first) {
      PT_TRY_ASSIGN(const NodeId maker,
                    graph_.AddNode(OpKind::kGateMask, {saved}, gate, Phase::kForward, loc));
      made->second = graph_.nodes[maker].results[0];
      makers_.push_back({producer, maker});
    }
    Node& node = graph_.nodes[n];
    node.op = OpKind::kGateGrad;
    node.attrs = NoAttrs{};
    node.operands[1] = made->second;
    return absl::OkStatus();
  }

  std::vector<NodeId> Order() {
    std::sort(makers_.begin(), makers_.end());
    std::vector<NodeId> order;
    size_t next = 0;
    for (size_t n = 0; n < count_; ++n) {
      order.push_back(static_cast<NodeId>(n));
      for (; next < makers_.size() && makers_[next].first == static_cast<NodeId>(n); ++next) {
        order.push_back(makers_[next].second);
      }
    }
    return order;
  }

  Graph& graph_;
  const size_t count_;  // nodes before the first mask's
  const std::vector<ValueId> roots_;
  std::vector<bool> blocked_;  // per root
  std::map<std::tuple<ValueId, Act, double, double>, ValueId> masks_;
  std::vector<std::pair<NodeId, NodeId>> makers_;  // producer of the value, maker of its mask
};

// As the nodes stand, and in the order that reorder finds.
struct Peaks {
  int64_t given, found;
};

Peaks PeaksOf(const Graph& graph) {
  std::vector<NodeId> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  return {PeakBytesOf(graph, order), PeakBytesOf(graph, SmallestPeakOrder(graph))};
}

}  // namespace

// Where the backward pass reads the result of relu or relu6, or the operand of clamp, for nothing
// but the gradient of that op, it keeps one bit for each element in its place. Nothing changes
// where somebody else reads the value in the backward pass (the filter gradient of the next layer
// does, where its filter learns), nor where the masks would add to the peak: a value that the
// forward pass holds to its end lives no shorter for a mask, and the order that is found for the
// graph with masks may be the worse one.
absl::Status RunSaveMasks(Graph& graph, PassContext&) {
  Graph masked = graph;
  PT_TRY(MaskSaver(masked).Run());
  if (masked.nodes.size() == graph.nodes.size()) return absl::OkStatus();
  const Peaks with = PeaksOf(masked), without = PeaksOf(graph);
  if (with.given <= without.given && with.found <= without.found) graph = std::move(masked);
  return absl::OkStatus();
}

}  // namespace pocketune
