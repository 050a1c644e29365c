#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

// The gradient of the activation that a normalization applies, or kNone.
Act ActOfGrad(OpKind op) {
  if (op == OpKind::kReluGrad) return Act::kRelu;
  return op == OpKind::kRelu6Grad ? Act::kRelu6 : Act::kNone;
}

class NormGradFuser {
 public:
  explicit NormGradFuser(Graph& graph)
      : graph_(graph), uses_(CountUses(graph)), keep_(graph.nodes.size(), true) {}

  void Run() {
    for (Node& node : graph_.nodes) {
      if (node.op == OpKind::kBatchNormGrad) Fuse(node);
    }
    graph_.Compact(keep_);
  }

 private:
  // relu_grad(dy, y) which `grad` alone reads, y the result of the normalization whose gradient
  // `grad` is and which applies the relu itself.
  void Fuse(Node& grad) {
    const NodeId gate_id = graph_.value(grad.operands[0]).producer;
    if (gate_id == kNone || uses_[grad.operands[0]] != 1) return;
    const Node& gate = graph_.nodes[gate_id];
    const Act act = ActOfGrad(gate.op);
    if (act == Act::kNone || graph_.value(gate.operands[1]).producer == kNone) return;
    const Node& norm = graph_.nodes[graph_.value(gate.operands[1]).producer];
    if (norm.op != OpKind::kBatchNorm || norm.results[1] != grad.operands[3] ||
        std::get<NormAttrs>(norm.attrs).act != act) {
      return;
    }
    grad.operands[0] = gate.operands[0];
    grad.operands.push_back(norm.operands[2]);
    std::get<NormAttrs>(grad.attrs).act = act;
    keep_[gate_id] = false;
  }

  Graph& graph_;
  std::vector<int> uses_;
  std::vector<bool> keep_;
};

}  // namespace

// Takes the gradient of relu and relu6 together with that of the batch normalization before it.
// Where the activation let through is found out again from the normalization's input, which its
// gradient reads anyway: the backward pass reads and writes one tensor less, and the activation's
// result need not be kept for it. Runs after fuse_epilogue, which makes the activation part of the
// normalization.
absl::Status RunFuseNormGrad(Graph& graph, PassContext&) {
  NormGradFuser(graph).Run();
  return absl::OkStatus();
}

}  // namespace pocketune
