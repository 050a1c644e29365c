#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "engine/ops/narrow.h"
#include "graph/base/status_macros.h"
#include "graph/memory/live_set.h"
#include "graph/memory/liveness.h"
#include "graph/memory/order_search.h"
#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

constexpr int64_t kLeastElems = 1024;  // below, the two steps cost more than the bytes are worth

class SavedNarrower {
 public:
  SavedNarrower(Graph& graph, int bits)
      : graph_(graph),
        bits_(bits),
        count_(graph.nodes.size()),
        roots_(AliasRootsOf(graph)),
        users_(UsersOf(graph)),
        behind_(count_),
        in_front_(count_) {
    shared_.assign(graph.values.size(), false);
    for (const Output& output : graph.outputs) shared_[roots_[output.value]] = true;
    for (size_t i = 0; i < roots_.size(); ++i) {
      if (roots_[i] != static_cast<ValueId>(i)) shared_[roots_[i]] = true;
    }
    for (size_t n = 0; n < count_; ++n) {
      const Node& node = graph.nodes[n];
      if (node.op == OpKind::kBatchNorm) norm_of_mean_[node.results[1]] = static_cast<NodeId>(n);
    }
  }

  // Values that may be packed, largest first.
  std::vector<ValueId> Candidates() const {
    std::vector<ValueId> candidates;
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      if (MayBePacked(static_cast<ValueId>(v))) candidates.push_back(static_cast<ValueId>(v));
    }
    std::stable_sort(candidates.begin(), candidates.end(), [&](ValueId a, ValueId b) {
      return graph_.value(a).bytes() > graph_.value(b).bytes();
    });
    return candidates;
  }

  // Packs these candidates. To be called once.
  absl::Status Pack(const std::vector<ValueId>& values) {
    for (ValueId v : values) {
      PT_TRY(Narrow(v));
    }
    ApplyOrder(graph_, Order());
    return absl::OkStatus();
  }

 private:
  bool IsForward(NodeId n) const { return graph_.nodes[n].phase == Phase::kForward; }

  // A gradient through an activation that it finds out anew from the normalization's input.
  static bool HasGate(const Node& node) {
    return node.op == OpKind::kBatchNormGrad && std::get<NormAttrs>(node.attrs).act != Act::kNone;
  }

  // Is what `node` makes of a slightly wrong operand `i` only slightly wrong? Not where it compares
  // the operand with a bound or with others.
  bool Tolerates(const Node& node, size_t i) const {
    switch (node.op) {
      case OpKind::kConv2dGradFilter:
      case OpKind::kDepthwiseConv2dGradFilter:
      case OpKind::kBatchNormFrozenGradScale:
        return i == 1;
      case OpKind::kBatchNormGrad:
        return i == 1 && (!HasGate(node) || norm_of_mean_.count(node.operands[3]) != 0);
      case OpKind::kMatmul:
        return std::get<MatmulAttrs>(node.attrs).act == Act::kNone;
      case OpKind::kBatchNormFrozen:  // a normalization's result, computed again
      case OpKind::kGather:
        return i == 0 && !shared_[node.results[0]] && ReadersTolerate(node.results[0], false);
      default:
        return false;
    }
  }

  // Do all readers in the backward pass, of which there are some? Gates that only ask what a clamp
  // let through are no hindrance where masks can be made of the value.
  bool ReadersTolerate(ValueId v, bool gates) const {
    bool some = false;
    for (NodeId n : users_[v]) {
      if (IsForward(n)) continue;
      const Node& node = graph_.nodes[n];
      for (size_t i = 0; i < node.operands.size(); ++i) {
        if (node.operands[i] != v || (gates && i == 1 && GateOf(node).has_value())) continue;
        if (!Tolerates(node, i)) return false;
        some = true;
      }
    }
    return some;
  }

  bool MayBePacked(ValueId v) const {
    const Value& value = graph_.value(v);
    if (value.producer == kNone || !IsForward(value.producer) || shared_[v] || roots_[v] != v) {
      return false;
    }
    const int64_t elems = value.type.shape.elems();
    // A plan has no room for the one dimension of more bytes.
    if (value.type.dtype != DType::kF32 || elems < kLeastElems || elems > INT32_MAX / 4) {
      return false;
    }
    return ReadersTolerate(v, true);
  }

  // The value is packed right behind its producer, and each reader in the backward pass gets what
  // is unpacked in front of it. What lets gradients through is kept to the bit, in masks.
  absl::Status Narrow(ValueId v) {
    PT_TRY_ASSIGN(const ValueId packed,
                  Add(OpKind::kNarrow, {v}, NarrowAttrs{bits_}, graph_.value(v).producer));
    for (NodeId n : users_[v]) {
      if (IsForward(n)) continue;
      PT_TRY(ReadPacked(n, v, packed));
    }
    return absl::OkStatus();
  }

  absl::Status ReadPacked(NodeId n, ValueId v, ValueId packed) {
    if (const std::optional<GateAttrs> gate = GateOf(graph_.nodes[n]); gate.has_value()) {
      PT_TRY_ASSIGN(const ValueId mask, MaskOf(v, *gate));
      Node& node = graph_.nodes[n];
      node.op = OpKind::kGateGrad;
      node.attrs = NoAttrs{};
      node.operands[1] = mask;
      return absl::OkStatus();
    }
    if (HasGate(graph_.nodes[n])) {
      PT_TRY(TakeGateOut(n));
    }
    const WidenAttrs attrs = {bits_, graph_.shape(v)};
    PT_TRY_ASSIGN(const ValueId wide, AddInFront(OpKind::kWiden, {packed}, attrs, n));
    for (ValueId& operand : graph_.nodes[n].operands) {
      if (operand == v) operand = wide;
    }
    return absl::OkStatus();
  }

  // The gradient of a normalization and its activation becomes two, the second one without gate.
  absl::Status TakeGateOut(NodeId n) {
    const Act act = std::get<NormAttrs>(graph_.nodes[n].attrs).act;
    const Node& norm = graph_.nodes[norm_of_mean_.at(graph_.nodes[n].operands[3])];
    PT_TRY_ASSIGN(const ValueId mask, MaskOf(norm.results[0], {.act = act}));
    const ValueId dy = graph_.nodes[n].operands[0];
    PT_TRY_ASSIGN(const ValueId gated, AddInFront(OpKind::kGateGrad, {dy, mask}, NoAttrs{}, n));
    Node& grad = graph_.nodes[n];
    grad.operands[0] = gated;
    grad.operands.resize(5);  // the shift served the gate
    std::get<NormAttrs>(grad.attrs).act = Act::kNone;
    return absl::OkStatus();
  }

  absl::StatusOr<ValueId> MaskOf(ValueId v, const GateAttrs& gate) {
    ValueId& mask = masks_.try_emplace({v, gate.act, gate.lo, gate.hi}, kNone).first->second;
    if (mask != kNone) return mask;
    const absl::StatusOr<ValueId> made =
        Add(OpKind::kGateMask, {v}, gate, graph_.value(v).producer);
    if (made.ok()) mask = *made;
    return made;
  }

  // The result of a new node right behind the node `n` of the forward pass.
  absl::StatusOr<ValueId> Add(OpKind op, std::vector<ValueId> operands, Attrs attrs, NodeId n) {
    PT_TRY_ASSIGN(const NodeId added, graph_.AddNode(op, std::move(operands), std::move(attrs),
                                                     Phase::kForward, graph_.nodes[n].loc));
    behind_[n].push_back(added);
    return graph_.nodes[added].results[0];
  }
  // The same in front of one of the backward pass.
  absl::StatusOr<ValueId> AddInFront(OpKind op, std::vector<ValueId> operands, Attrs attrs,
                                     NodeId n) {
    PT_TRY_ASSIGN(const NodeId added, graph_.AddNode(op, std::move(operands), std::move(attrs),
                                                     Phase::kBackward, graph_.nodes[n].loc));
    in_front_[n].push_back(added);
    return graph_.nodes[added].results[0];
  }

  std::vector<NodeId> Order() const {
    std::vector<NodeId> order;
    for (size_t n = 0; n < count_; ++n) {
      order.insert(order.end(), in_front_[n].begin(), in_front_[n].end());
      order.push_back(static_cast<NodeId>(n));
      order.insert(order.end(), behind_[n].begin(), behind_[n].end());
    }
    return order;
  }

  Graph& graph_;
  const int32_t bits_;
  const size_t count_;  // nodes before the first that is added
  const std::vector<ValueId> roots_;
  const std::vector<std::vector<NodeId>> users_;
  std::vector<bool> shared_;                // per value: an output, or a view takes its bytes too
  std::map<ValueId, NodeId> norm_of_mean_;  // by the mean that it found
  std::map<std::tuple<ValueId, Act, double, double>, ValueId> masks_;
  std::vector<std::vector<NodeId>> behind_, in_front_;  // per node: those that were added
};

int64_t PeakBytes(const Graph& graph) {
  std::vector<NodeId> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  return PeakBytesOf(graph, order);
}

absl::StatusOr<Graph> Packed(const Graph& graph, int bits, const std::vector<ValueId>& values) {
  Graph packed = graph;
  PT_TRY(SavedNarrower(packed, bits).Pack(values));
  return packed;
}

}  // namespace

// Packs what the forward pass makes and the backward pass reads into context.saved_bits an element,
// where rounding it changes gradients by as little: operands of filter gradients, of matrix
// products and of normalizations' gradients. What a gradient only compares with a bound is kept as
// a mask, so that no gate opens or closes by rounding. The forward pass reads what it made. A value
// stays as it is where that lowers the peak: one that is not kept for long, or at whose readers the
// most is alive, would only lie there twice. Nothing changes where the peak does not fall.
absl::Status RunNarrowSaved(Graph& graph, PassContext& context) {
  if (context.saved_bits == kAllBits) return absl::OkStatus();
  std::vector<ValueId> values = SavedNarrower(graph, context.saved_bits).Candidates();
  PT_TRY_ASSIGN(Graph best, Packed(graph, context.saved_bits, values));
  int64_t peak = PeakBytes(best);
  for (const ValueId v : std::vector<ValueId>(values)) {
    std::vector<ValueId> fewer = values;
    std::erase(fewer, v);
    PT_TRY_ASSIGN(Graph other, Packed(graph, context.saved_bits, fewer));
    const int64_t bytes = PeakBytes(other);
    if (bytes >= peak) continue;
    peak = bytes;
    values = std::move(fewer);
    best = std::move(other);
  }
  if (peak < PeakBytes(graph)) graph = std::move(best);
  return absl::OkStatus();
}

}  // namespace pocketune
