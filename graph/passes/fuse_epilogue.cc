#include <optional>
#include <utility>

#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

std::optional<Act> ActOfOp(OpKind op) {
  switch (op) {
    case OpKind::kRelu:
      return Act::kRelu;
    case OpKind::kRelu6:
      return Act::kRelu6;
    case OpKind::kHardSwish:
      return Act::kHardSwish;
    case OpKind::kHardSigmoid:
      return Act::kHardSigmoid;
    case OpKind::kSilu:
      return Act::kSilu;
    case OpKind::kSigmoid:
      return Act::kSigmoid;
    case OpKind::kTanh:
      return Act::kTanh;
    default:
      return std::nullopt;
  }
}

class EpilogueFuser {
 public:
  explicit EpilogueFuser(Graph& graph)
      : graph_(graph), replacer_(graph), uses_(CountUses(graph)), keep_(graph.nodes.size(), true) {}

  void Run() {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      replacer_.Update(graph_.nodes[n]);
      if (graph_.nodes[n].op == OpKind::kAdd) {
        if (!FuseBias(static_cast<NodeId>(n), 0, 1)) FuseBias(static_cast<NodeId>(n), 1, 0);
      } else {
        FuseAct(static_cast<NodeId>(n));
      }
    }
    graph_.Compact(keep_);
  }

 private:
  // The node in the same phase that makes `id` as its result 0 for `reader` alone and has no
  // activation yet, or nullptr.
  Node* SoleProducer(ValueId id, const Node& reader) {
    const Value& value = graph_.value(id);
    if (value.producer == kNone || value.result_index != 0 || uses_[id] != 1) return nullptr;
    Node& producer = graph_.nodes[value.producer];
    const Act* act = producer.info().Has(kFusesAct) ? ActOf(producer.attrs) : nullptr;
    const bool open = act != nullptr && *act == Act::kNone && producer.phase == reader.phase;
    return open ? &producer : nullptr;
  }

  void FuseAct(NodeId n) {
    const Node& node = graph_.nodes[n];
    const std::optional<Act> act = ActOfOp(node.op);
    if (!act.has_value()) return;
    Node* producer = SoleProducer(node.operands[0], node);
    if (producer == nullptr) return;
    *ActOf(producer->attrs) = *act;
    replacer_.Replace(node.results[0], producer->results[0]);
    keep_[n] = false;
  }

  // The sum of operand `x`, made by a node without bias, and the vector `bias`. The node moves into
  // the sum's place, where its bias is sure to exist.
  bool FuseBias(NodeId n, int x, int bias) {
    Node& node = graph_.nodes[n];
    const ValueId vector = node.operands[bias];
    const Shape& y = graph_.shape(node.results[0]);
    if (node.phase != Phase::kForward || y.rank() == 0 || y != graph_.shape(node.operands[x]) ||
        graph_.shape(vector) != Shape({y[-1]})) {
      return false;
    }
    Node* producer = SoleProducer(node.operands[x], node);
    if (producer == nullptr || !producer->info().Has(kHasMacs) || producer->operands.size() != 2) {
      return false;
    }
    keep_[graph_.value(node.operands[x]).producer] = false;
    std::vector<ValueId> results = std::move(node.results);
    node = *producer;
    node.operands.push_back(vector);
    node.results = std::move(results);
    return true;
  }

  Graph& graph_;
  Replacer replacer_;
  std::vector<int> uses_;
  std::vector<bool> keep_;
};

}  // namespace

// Makes an activation, or the addition of a bias, part of the node whose result it alone reads.
// Runs on the joint graph: where the backward pass reads the pre-activation (hard_swish_grad and
// others; relu_grad reads the activation's result) there is a second reader, and the node stays.
absl::Status RunFuseEpilogue(Graph& graph, PassContext&) {
  EpilogueFuser(graph).Run();
  return absl::OkStatus();
}

}  // namespace pocketune
