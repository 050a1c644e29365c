// Elementwise ops and reductions.
#include <algorithm>

#include "engine/base/math.h"
#include "engine/ops/narrow.h"
#include "engine/ops/shape_rules.h"

namespace pocketune {
namespace {

// Shape of `x` without, or with 1 for, the dimensions in `a.axes`.
Status ReducedShape(const Shape& x, const ReduceAttrs& a, Shape* y) {
  if (a.axes == 0) return Invalid("reduce: names no dimension");
  if ((a.axes >> x.rank()) != 0) return Invalid("reduce: axis is not below the rank", x.rank());
  *y = Shape();
  for (int i = 0; i < x.rank(); ++i) {
    const bool reduced = (a.axes >> i & 1) != 0;
    if (!reduced) y->Append(x[i]);
    if (reduced && a.keep_dims) y->Append(1);
  }
  return OkStatus();
}

}  // namespace

PT_SHAPE_RULE(Same) {
  for (size_t i = 1; i < operands.size(); ++i) {
    if (operands[i] != operands[0]) {
      return Invalid("elementwise: operands differ in shape", int64_t(i));
    }
  }
  results[0] = operands[0];
  return OkStatus();
}

PT_SHAPE_RULE(GateMask) {
  results[0] = {{CeilDiv(operands[0].shape.elems(), 8)}, DType::kU8};
  return OkStatus();
}

PT_SHAPE_RULE(GateGrad) {
  if (operands[1].shape != Shape({CeilDiv(operands[0].shape.elems(), 8)})) {
    return Invalid("gate_grad: the mask has not one bit for each element of dy");
  }
  results[0] = operands[0];
  return OkStatus();
}

PT_SHAPE_RULE(Narrow) {
  results[0] = {{NarrowBytes(operands[0].shape, As<NarrowAttrs>(attrs).bits)}, DType::kU8};
  return OkStatus();
}

PT_SHAPE_RULE(Widen) {
  const WidenAttrs& a = As<WidenAttrs>(attrs);
  if (operands[0].shape != Shape({NarrowBytes(a.shape, a.bits)})) {
    return Invalid("widen: the operand has not the bytes of that shape");
  }
  results[0] = {a.shape, DType::kF32};
  return OkStatus();
}

// NumPy's rule: ranks are aligned at the last dimension, 1 stretches.
PT_SHAPE_RULE(Broadcast) {
  const Shape& a = operands[0].shape;
  const Shape& b = operands[1].shape;
  const int rank = std::max(a.rank(), b.rank());
  Shape y;
  for (int i = rank; i > 0; --i) {
    const int64_t da = i <= a.rank() ? a[-i] : 1;
    const int64_t db = i <= b.rank() ? b[-i] : 1;
    if (da != db && da != 1 && db != 1) {
      return Invalid("broadcast: dimensions are neither equal nor 1", rank - i);
    }
    y.Append(std::max(da, db));
  }
  results[0] = {y, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(Reduce) {
  results[0].dtype = operands[0].dtype;
  return ReducedShape(operands[0].shape, As<ReduceAttrs>(attrs), &results[0].shape);
}

PT_SHAPE_RULE(ReduceMaxGrad) {
  Shape y;
  PT_RETURN_IF_ERROR(ReducedShape(operands[1].shape, As<ReduceAttrs>(attrs), &y));
  if (operands[0].shape != y || operands[2].shape != y) {
    return Invalid("reduce_max_grad: dy or y is not shaped as the reduction's result");
  }
  results[0] = operands[1];
  return OkStatus();
}

}  // namespace pocketune
