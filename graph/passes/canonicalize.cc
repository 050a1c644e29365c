#include <cmath>
#include <optional>

#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

// Rewrites one node after the other. A rule edits its node, or gives the value that takes the place
// of the node's result; what it reads of earlier nodes is canonical already.
class Canonicalizer {
 public:
  explicit Canonicalizer(Graph& graph) : graph_(graph), replacer_(graph) {}

  void Run() {
    for (Node& node : graph_.nodes) {
      replacer_.Update(node);
      const ValueId simpler = Simplify(node);
      if (simpler == kNone) continue;
      // An output must be written by a node.
      const bool made_by_node = graph_.value(simpler).kind == ValueKind::kResult;
      if (!made_by_node && IsOutput(graph_, node.results[0])) continue;
      replacer_.Replace(node.results[0], simpler);
    }
    RemoveDeadNodes(graph_);
  }

 private:
  ValueId Simplify(Node& node) {
    switch (node.op) {
      case OpKind::kAdd:
      case OpKind::kSub:
      case OpKind::kMul:
      case OpKind::kDiv:
        return Arithmetic(node);
      case OpKind::kAffine:
        return Affine(node);
      case OpKind::kReshape:
        return Reshape(node);
      case OpKind::kTranspose:
        return Transpose(node);
      case OpKind::kReduceSum:
      case OpKind::kReduceMean:
      case OpKind::kReduceMax:
        return Reduce(node);
      case OpKind::kBroadcastTo:
      case OpKind::kPad:
      case OpKind::kSlice:
        return SameShape(node) ? node.operands[0] : kNone;
      case OpKind::kConcat:
        return node.operands.size() == 1 ? node.operands[0] : kNone;
      case OpKind::kDropout:
        return std::get<DropoutAttrs>(node.attrs).rate == 0 ? node.operands[0] : kNone;
      default:
        return kNone;
    }
  }

  bool SameShape(const Node& node, int operand = 0) const {
    return graph_.shape(node.operands[operand]) == graph_.shape(node.results[0]);
  }

  // The node of that op whose result operand 0 is, or nullptr.
  const Node* Before(const Node& node, OpKind op) const {
    const NodeId producer = graph_.value(node.operands[0]).producer;
    if (producer == kNone || graph_.nodes[producer].op != op) return nullptr;
    return &graph_.nodes[producer];
  }

  // The number that fills the operand, where f32 holds it exactly.
  std::optional<double> FillOf(ValueId id) const {
    const NodeId producer = graph_.value(id).producer;
    if (producer == kNone || graph_.nodes[producer].op != OpKind::kFill) return std::nullopt;
    const double value = std::get<ShapeAttrs>(graph_.nodes[producer].attrs).value;
    if (!std::isfinite(value) || static_cast<double>(static_cast<float>(value)) != value) {
      return std::nullopt;
    }
    return value;
  }

  // x + c, x - c, x c, x / 1 with a filled operand: affine.
  ValueId Arithmetic(Node& node) {
    const bool commutes = node.op == OpKind::kAdd || node.op == OpKind::kMul;
    for (int i = commutes ? 0 : 1; i < 2; ++i) {
      const std::optional<double> c = FillOf(node.operands[i]);
      if (!c.has_value() || !SameShape(node, 1 - i)) continue;
      AffineAttrs affine;
      if (node.op == OpKind::kAdd) affine.offset = *c;
      if (node.op == OpKind::kSub) affine.offset = -*c;
      if (node.op == OpKind::kMul) affine.factor = *c;
      if (node.op == OpKind::kDiv && *c != 1) continue;
      node.op = OpKind::kAffine;
      node.operands = {node.operands[1 - i]};
      node.attrs = affine;
      return Affine(node);
    }
    return kNone;
  }

  // Of an affine function: one affine function. Of no effect: its operand.
  ValueId Affine(Node& node) {
    AffineAttrs& outer = std::get<AffineAttrs>(node.attrs);
    if (const Node* inner = Before(node, OpKind::kAffine); inner != nullptr) {
      const AffineAttrs& a = std::get<AffineAttrs>(inner->attrs);
      const double factor = outer.factor * a.factor;
      const double offset = outer.factor * a.offset + outer.offset;
      if (std::isfinite(factor) && std::isfinite(offset)) {
        outer = {.factor = factor, .offset = offset};
        node.operands = inner->operands;
      }
    }
    return outer.factor == 1 && outer.offset == 0 ? node.operands[0] : kNone;
  }

  ValueId Reshape(Node& node) {
    if (const Node* inner = Before(node, OpKind::kReshape); inner != nullptr) {
      node.operands = inner->operands;
    }
    return SameShape(node) ? node.operands[0] : kNone;
  }

  ValueId Transpose(Node& node) {
    auto& perm = std::get<TransposeAttrs>(node.attrs).perm;
    const int rank = graph_.shape(node.operands[0]).rank();
    if (const Node* inner = Before(node, OpKind::kTranspose); inner != nullptr) {
      const auto& first = std::get<TransposeAttrs>(inner->attrs).perm;
      for (int i = 0; i < rank; ++i) perm[i] = first[perm[i]];
      node.operands = inner->operands;
    }
    for (int i = 0; i < rank; ++i) {
      if (perm[i] != i) return kNone;
    }
    return node.operands[0];
  }

  // Over dimensions of size 1: a view.
  ValueId Reduce(Node& node) {
    const Shape& shape = graph_.shape(node.results[0]);
    if (shape.elems() != graph_.shape(node.operands[0]).elems()) return kNone;
    node.op = OpKind::kReshape;
    node.attrs = ShapeAttrs{.shape = shape};
    node.in_place = true;
    return Reshape(node);
  }

  Graph& graph_;
  Replacer replacer_;
};

}  // namespace

// Removes what does nothing and makes one node of chains: affine(affine), add, sub and mul with a
// fill, reshape(reshape), transpose(transpose), reductions over dimensions of size 1, and slices,
// pads, broadcasts, concats and dropouts of no effect. Drops the nodes that nobody needs then.
absl::Status RunCanonicalize(Graph& graph, PassContext&) {
  Canonicalizer(graph).Run();
  return absl::OkStatus();
}

}  // namespace pocketune
