#include "graph/ir/builder.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace pocketune {

std::vector<ValueId> GraphBuilder::Multi(OpKind op, std::vector<ValueId> operands, Attrs attrs) {
  const OpInfo& info = InfoOf(op);
  while (!operands.empty() && operands.back() == kNone &&
         static_cast<int>(operands.size()) > info.min_operands) {
    operands.pop_back();
  }
  std::vector<ValueId> none(info.results, kNone);
  if (!status_.ok()) return none;
  for (const ValueId id : operands) {
    if (id >= 0 && id < static_cast<ValueId>(graph_->values.size())) continue;
    status_ = absl::InvalidArgumentError(absl::StrCat(loc_, loc_.empty() ? "" : ": ", info.name,
                                                      ": an operand is no value of this graph"));
    return none;
  }
  if (std::holds_alternative<NoAttrs>(attrs)) attrs = DefaultAttrs(op);
  absl::StatusOr<NodeId> node =
      graph_->AddNode(op, std::move(operands), std::move(attrs), phase_, loc_);
  if (!node.ok()) {
    status_ = node.status();
    return none;
  }
  return graph_->nodes[*node].results;
}

ValueId GraphBuilder::Op(OpKind op, std::vector<ValueId> operands, Attrs attrs) {
  return Multi(op, std::move(operands), std::move(attrs))[0];
}

const Shape& GraphBuilder::shape(ValueId id) const {
  static const Shape kScalar;
  const bool is_value = id >= 0 && id < static_cast<ValueId>(graph_->values.size());
  return is_value ? graph_->shape(id) : kScalar;
}

ValueId GraphBuilder::Reshape(ValueId x, Shape target) {
  if (x != kNone && shape(x) == target) return x;
  return Op(OpKind::kReshape, {x}, ShapeAttrs{.shape = target});
}

ValueId GraphBuilder::Affine(ValueId x, double factor, double offset) {
  return Op(OpKind::kAffine, {x}, AffineAttrs{.factor = factor, .offset = offset});
}

ValueId GraphBuilder::Fill(Shape target, double value) {
  return Op(OpKind::kFill, {}, ShapeAttrs{.shape = target, .value = value});
}

ValueId GraphBuilder::SumTo(ValueId x, const Shape& target) {
  const Shape from = shape(x);
  if (from == target) return x;
  const int extra = from.rank() - target.rank();
  uint32_t axes = 0;
  for (int i = 0; i < from.rank(); ++i) {
    if (i < extra || (target[i - extra] == 1 && from[i] != 1)) axes |= 1u << i;
  }
  if (axes != 0) x = Op(OpKind::kReduceSum, {x}, ReduceAttrs{.axes = axes});
  return Reshape(x, target);
}

ValueId GraphBuilder::SumToChannels(ValueId x) {
  const int rank = shape(x).rank();
  return SumTo(x, Shape{shape(x)[rank - 1]});
}

}  // namespace pocketune
