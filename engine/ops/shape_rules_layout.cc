// Ops that move elements.
#include "engine/ops/shape_rules.h"

namespace pocketune {

PT_SHAPE_RULE(Reshape) {
  const Shape& shape = As<ShapeAttrs>(attrs).shape;
  if (shape.elems() != operands[0].shape.elems()) {
    return Invalid("reshape: the number of elements changes", shape.elems());
  }
  results[0] = {shape, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(BroadcastTo) {
  const Shape& shape = As<ShapeAttrs>(attrs).shape;
  const Shape& x = operands[0].shape;
  if (shape.rank() < x.rank()) return Invalid("broadcast_to: the rank falls", shape.rank());
  for (int i = 1; i <= x.rank(); ++i) {
    if (x[-i] != 1 && x[-i] != shape[-i]) {
      return Invalid("broadcast_to: a dimension is neither 1 nor the target's", x.rank() - i);
    }
  }
  results[0] = {shape, operands[0].dtype};
  return OkStatus();
}

// No operand gives the type: the result keeps the one that it comes in with.
PT_SHAPE_RULE(Fill) {
  if (results[0].dtype != DType::kF32 && results[0].dtype != DType::kF64) {
    return Invalid("fill: result is not floating-point", int64_t(results[0].dtype));
  }
  results[0].shape = As<ShapeAttrs>(attrs).shape;
  return OkStatus();
}

PT_SHAPE_RULE(Transpose) {
  const auto& perm = As<TransposeAttrs>(attrs).perm;
  const Shape& x = operands[0].shape;
  uint32_t seen = 0;
  Shape y;
  for (int i = 0; i < x.rank(); ++i) {
    if (perm[i] < 0 || perm[i] >= x.rank() || (seen >> perm[i] & 1) != 0) {
      return Invalid("transpose: perm is not a permutation of the dimensions", i);
    }
    seen |= 1u << perm[i];
    y.Append(x[perm[i]]);
  }
  results[0] = {y, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(Concat) {
  const int axis = As<AxisAttrs>(attrs).axis;
  Shape y = operands[0].shape;
  if (axis < 0 || axis >= y.rank()) return Invalid("concat: axis is not below the rank", axis);
  for (size_t i = 1; i < operands.size(); ++i) {
    const Shape& x = operands[i].shape;
    if (x.rank() != y.rank()) return Invalid("concat: operands differ in rank", int64_t(i));
    for (int d = 0; d < y.rank(); ++d) {
      if (d != axis && x[d] != y[d]) {
        return Invalid("concat: operands differ in another dimension than the axis", d);
      }
    }
    y[axis] += x[axis];
  }
  results[0] = {y, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(Pad) {
  const PadAttrs& a = As<PadAttrs>(attrs);
  Shape y = operands[0].shape;
  for (int i = 0; i < Shape::kMaxRank; ++i) {
    if (i < y.rank()) {
      y[i] += int64_t{a.before[i]} + a.after[i];
    } else if (a.before[i] != 0 || a.after[i] != 0) {
      return Invalid("pad: pads a dimension that the operand has not", i);
    }
  }
  results[0] = {y, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(Gather) {
  const int axis = As<AxisAttrs>(attrs).axis;
  Shape y = operands[0].shape;
  if (axis < 0 || axis >= y.rank()) return Invalid("gather: axis is not below the rank", axis);
  if (operands[1].shape.rank() != 1) {
    return Invalid("gather: the index is no vector", operands[1].shape.rank());
  }
  PT_RETURN_IF_ERROR(CheckIndexRange(y[axis]));
  y[axis] = operands[1].shape[0];
  if (!ShapeInRange(y)) return Invalid("gather: the result is too large", y[axis]);
  results[0] = {y, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(Slice) {
  const SliceAttrs& a = As<SliceAttrs>(attrs);
  const Shape& x = operands[0].shape;
  if (a.shape.rank() != x.rank()) {
    return Invalid("slice: shape has another rank than the operand", a.shape.rank());
  }
  for (int i = 0; i < x.rank(); ++i) {
    if (a.begin[i] < 0 || a.begin[i] + a.shape[i] > x[i]) {
      return Invalid("slice: the box is not inside the operand", i);
    }
  }
  results[0] = {a.shape, operands[0].dtype};
  return OkStatus();
}

}  // namespace pocketune
