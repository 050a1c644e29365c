// Gradients of reductions and of softmax.
#include "autodiff/grad_rules.h"

namespace pocketune {
namespace {

// Repeats `dy`, a reduction's result, over the dimensions that the reduction took away.
ValueId Spread(GradContext& ctx, ValueId dy) {
  GraphBuilder& b = ctx.builder();
  const Shape x = ctx.shape(ctx.operand(0));
  Shape kept = x;
  for (int i = 0; i < x.rank(); ++i) {
    if ((ctx.attrs<ReduceAttrs>().axes >> i & 1) != 0) kept[i] = 1;
  }
  return b.Op(OpKind::kBroadcastTo, {b.Reshape(dy, kept)}, ShapeAttrs{.shape = x});
}

}  // namespace

absl::Status GradReduceSum(GradContext& ctx) {
  ctx.set_grad(0, Spread(ctx, ctx.result_grad()));
  return absl::OkStatus();
}

// Divides before it repeats: the smaller tensor.
absl::Status GradReduceMean(GradContext& ctx) {
  const double count = static_cast<double>(ctx.shape(ctx.operand(0)).elems()) /
                       static_cast<double>(ctx.shape(ctx.result()).elems());
  ctx.set_grad(0, Spread(ctx, ctx.builder().Affine(ctx.result_grad(), 1.0 / count)));
  return absl::OkStatus();
}

absl::Status GradReduceMax(GradContext& ctx) {
  ctx.set_grad(
      0, ctx.builder().Op(OpKind::kReduceMaxGrad, {ctx.result_grad(), ctx.operand(0), ctx.result()},
                          ctx.node().attrs));
  return absl::OkStatus();
}

absl::Status GradSoftmax(GradContext& ctx) {
  ctx.set_grad(0, ctx.builder().Op(OpKind::kSoftmaxGrad, {ctx.result_grad(), ctx.result()}));
  return absl::OkStatus();
}

absl::Status GradLogSoftmax(GradContext& ctx) {
  ctx.set_grad(0, ctx.builder().Op(OpKind::kLogSoftmaxGrad, {ctx.result_grad(), ctx.result()}));
  return absl::OkStatus();
}

}  // namespace pocketune
