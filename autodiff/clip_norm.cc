#include "autodiff/clip_norm.h"

#include <limits>

#include "graph/ir/builder.h"

namespace pocketune {

absl::Status ClipGlobalNorm(Graph& graph, double max_norm, std::vector<ParamGrad>* grads) {
  GraphBuilder builder(&graph, Phase::kBackward);
  builder.set_loc("clip_norm");
  ValueId squares = kNone;
  for (const ParamGrad& item : *grads) {
    const uint32_t all = (1u << builder.shape(item.grad).rank()) - 1;
    const ValueId square = builder.Op(OpKind::kMul, {item.grad, item.grad});
    const ValueId sum = builder.Op(OpKind::kReduceSum, {square}, ReduceAttrs{.axes = all});
    squares = squares == kNone ? sum : builder.Op(OpKind::kAdd, {squares, sum});
  }
  // max_norm / max(norm, max_norm): exactly 1 up to the limit.
  const ClampAttrs from_limit{.lo = max_norm, .hi = std::numeric_limits<float>::max()};
  const ValueId norm = builder.Op(OpKind::kSqrt, {squares});
  const ValueId factor = builder.Op(
      OpKind::kDiv, {builder.Fill({}, max_norm), builder.Op(OpKind::kClamp, {norm}, from_limit)});
  for (ParamGrad& item : *grads) item.grad = builder.Op(OpKind::kMul, {item.grad, factor});
  return builder.status();
}

}  // namespace pocketune
