// Gradients of ops that move elements: each is another one of them.
#include "autodiff/grad_rules.h"

namespace pocketune {

absl::Status GradReshape(GradContext& ctx) {
  ctx.set_grad(0, ctx.builder().Reshape(ctx.result_grad(), ctx.shape(ctx.operand(0))));
  return absl::OkStatus();
}

absl::Status GradBroadcastTo(GradContext& ctx) {
  ctx.set_grad(0, ctx.builder().SumTo(ctx.result_grad(), ctx.shape(ctx.operand(0))));
  return absl::OkStatus();
}

absl::Status GradTranspose(GradContext& ctx) {
  TransposeAttrs inverse;
  for (int i = 0; i < ctx.shape(ctx.operand(0)).rank(); ++i) {
    inverse.perm[ctx.attrs<TransposeAttrs>().perm[i]] = i;
  }
  ctx.set_grad(0, ctx.builder().Op(OpKind::kTranspose, {ctx.result_grad()}, inverse));
  return absl::OkStatus();
}

absl::Status GradConcat(GradContext& ctx) {
  const int axis = ctx.attrs<AxisAttrs>().axis;
  SliceAttrs part;
  for (int i = 0; i < ctx.operands(); ++i) {
    part.shape = ctx.shape(ctx.operand(i));
    if (ctx.needs_grad(i)) {
      ctx.set_grad(i, ctx.builder().Op(OpKind::kSlice, {ctx.result_grad()}, part));
    }
    part.begin[axis] += static_cast<int32_t>(part.shape[axis]);
  }
  return absl::OkStatus();
}

absl::Status GradPad(GradContext& ctx) {
  SliceAttrs inside;
  inside.shape = ctx.shape(ctx.operand(0));
  for (int i = 0; i < inside.shape.rank(); ++i) inside.begin[i] = ctx.attrs<PadAttrs>().before[i];
  ctx.set_grad(0, ctx.builder().Op(OpKind::kSlice, {ctx.result_grad()}, inside));
  return absl::OkStatus();
}

absl::Status GradSlice(GradContext& ctx) {
  const SliceAttrs& slice = ctx.attrs<SliceAttrs>();
  const Shape x = ctx.shape(ctx.operand(0));
  PadAttrs around;
  for (int i = 0; i < x.rank(); ++i) {
    around.before[i] = slice.begin[i];
    around.after[i] = static_cast<int32_t>(x[i] - slice.begin[i] - slice.shape[i]);
  }
  ctx.set_grad(0, ctx.builder().Op(OpKind::kPad, {ctx.result_grad()}, around));
  return absl::OkStatus();
}

}  // namespace pocketune
