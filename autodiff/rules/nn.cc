// Gradients of convolution, matrix product, batch normalization and pooling.
#include <utility>

#include "autodiff/grad_rules.h"
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

ConvGradAttrs ConvGradOf(const ConvAttrs& a, int64_t height, int64_t width) {
  ConvGradAttrs grad;
  for (int i = 0; i < 2; ++i) {
    grad.stride[i] = a.stride[i];
    grad.dilation[i] = a.dilation[i];
  }
  for (int i = 0; i < 4; ++i) grad.pad[i] = a.pad[i];
  grad.groups = a.groups;
  grad.size[0] = static_cast<int32_t>(height);
  grad.size[1] = static_cast<int32_t>(width);
  return grad;
}

// Gradient of the filter. Of input channels of which some learn, these alone are read; a depthwise
// filter has them in its result as well.
ValueId ConvGradFilter(GradContext& ctx, OpKind op, ValueId dy, const ConvGradAttrs& attrs) {
  const bool depthwise = op == OpKind::kDepthwiseConv2dGradFilter;
  ValueId x = ctx.operand(0);
  if (ctx.learns_slices(1, depthwise ? 2 : 3)) {
    x = ctx.Pick(x, 3, 1, attrs.groups);
    if (depthwise) dy = ctx.Pick(dy, 3, 1);
  }
  return ctx.builder().Op(op, {dy, x}, attrs);
}

// `kernel_dim` is the filter's dimension that holds the kernel's height; the width follows.
absl::Status ConvGrad(GradContext& ctx, OpKind grad_input, OpKind grad_filter, int kernel_dim) {
  const ConvAttrs& a = ctx.attrs<ConvAttrs>();
  PT_TRY(RequireNoAct(ctx, a.act));
  GraphBuilder& b = ctx.builder();
  const ValueId dy = ctx.result_grad();
  const ValueId x = ctx.operand(0), w = ctx.operand(1);
  const Shape xs = ctx.shape(x), ws = ctx.shape(w);
  if (ctx.needs_grad(1)) {
    const ConvGradAttrs attrs = ConvGradOf(a, ws[kernel_dim], ws[kernel_dim + 1]);
    ctx.set_grad(1, ConvGradFilter(ctx, grad_filter, dy, attrs));
  }
  if (ctx.needs_grad(2)) ctx.set_grad(2, b.SumToChannels(dy));
  if (ctx.needs_grad(0)) ctx.set_grad(0, b.Op(grad_input, {dy, w}, ConvGradOf(a, xs[1], xs[2])));
  return absl::OkStatus();
}

ValueId Matmul(GraphBuilder& b, ValueId x, ValueId y, bool trans_x, bool trans_y) {
  return b.Op(OpKind::kMatmul, {x, y}, MatmulAttrs{.trans_a = trans_x, .trans_b = trans_y});
}

// `rank`: of x.
ValueId SwapLastTwo(GraphBuilder& b, ValueId x, int rank) {
  TransposeAttrs attrs;
  std::swap(attrs.perm[rank - 2], attrs.perm[rank - 1]);
  return b.Op(OpKind::kTranspose, {x}, attrs);
}

// Of y = op(a) op(b): d op(a) = dy op(b)^T.
ValueId MatmulGradA(GradContext& ctx, const MatmulAttrs& at, ValueId dy) {
  GraphBuilder& b = ctx.builder();
  const ValueId rhs = ctx.operand(1);
  const int rank = ctx.shape(dy).rank();
  if (!at.trans_a) return Matmul(b, dy, rhs, false, !at.trans_b);
  if (ctx.shape(rhs).rank() == rank) return Matmul(b, rhs, dy, at.trans_b, true);
  return SwapLastTwo(b, Matmul(b, dy, rhs, false, !at.trans_b), rank);
}

// Of y = op(a) op(b): d op(b) = op(a)^T dy; a matrix b shared by the batch takes the batch's sum.
ValueId MatmulGradB(GradContext& ctx, const MatmulAttrs& at, ValueId dy) {
  GraphBuilder& b = ctx.builder();
  ValueId lhs = ctx.operand(0);
  Shape target = ctx.shape(ctx.operand(1));
  const int inner = target.rank() - (at.trans_b ? 1 : 2);
  if (ctx.learns_slices(1, inner)) {
    lhs = ctx.Pick(lhs, ctx.shape(lhs).rank() - (at.trans_a ? 2 : 1), 1);
    target[inner] = ctx.shape(lhs)[at.trans_a ? -2 : -1];
  }
  if (!at.trans_a && target.rank() < ctx.shape(lhs).rank()) {
    const int64_t k = ctx.shape(lhs)[-1], n = ctx.shape(dy)[-1];
    lhs = b.Reshape(lhs, {ctx.shape(lhs).elems() / k, k});
    dy = b.Reshape(dy, {ctx.shape(dy).elems() / n, n});
  }
  const ValueId grad =
      at.trans_b ? Matmul(b, dy, lhs, true, at.trans_a) : Matmul(b, lhs, dy, !at.trans_a, false);
  return b.SumTo(grad, target);
}

PoolAttrs PoolGradAttrs(const GradContext& ctx) {
  PoolAttrs attrs = ctx.attrs<PoolAttrs>();
  const Shape x = ctx.shape(ctx.operand(0));
  attrs.size[0] = static_cast<int32_t>(x[1]);
  attrs.size[1] = static_cast<int32_t>(x[2]);
  return attrs;
}

}  // namespace

absl::Status GradConv2d(GradContext& ctx) {
  return ConvGrad(ctx, OpKind::kConv2dGradInput, OpKind::kConv2dGradFilter, 1);
}

absl::Status GradDepthwiseConv2d(GradContext& ctx) {
  return ConvGrad(ctx, OpKind::kDepthwiseConv2dGradInput, OpKind::kDepthwiseConv2dGradFilter, 0);
}

absl::Status GradMatmul(GradContext& ctx) {
  const MatmulAttrs& attrs = ctx.attrs<MatmulAttrs>();
  PT_TRY(RequireNoAct(ctx, attrs.act));
  const ValueId dy = ctx.result_grad();
  if (ctx.needs_grad(1)) ctx.set_grad(1, MatmulGradB(ctx, attrs, dy));
  if (ctx.needs_grad(2)) ctx.set_grad(2, ctx.builder().SumToChannels(dy));
  if (ctx.needs_grad(0)) ctx.set_grad(0, MatmulGradA(ctx, attrs, dy));
  return absl::OkStatus();
}

// The batch's mean and variance are results for the running statistics alone: a loss that reads
// them has no rule. A shift alone needs no more than dy.
absl::Status GradBatchNorm(GradContext& ctx) {
  const NormAttrs& attrs = ctx.attrs<NormAttrs>();
  PT_TRY(RequireNoAct(ctx, attrs.act));
  if (ctx.result_grad(1) != kNone || ctx.result_grad(2) != kNone) return ctx.Missing();
  GraphBuilder& b = ctx.builder();
  const ValueId dy = ctx.result_grad();
  if (!ctx.needs_grad(0) && !ctx.needs_grad(1)) {
    ctx.set_grad(2, b.SumToChannels(dy));
    return absl::OkStatus();
  }
  const std::vector<ValueId> grads =
      b.Multi(OpKind::kBatchNormGrad,
              {dy, ctx.operand(0), ctx.operand(1), ctx.result(1), ctx.result(2)}, attrs);
  for (int i = 0; i < 3; ++i) {
    if (ctx.needs_grad(i)) ctx.set_grad(i, grads[i]);
  }
  return absl::OkStatus();
}

// Three nodes, so that a frozen scale does not keep x alive.
absl::Status GradBatchNormFrozen(GradContext& ctx) {
  const NormAttrs& attrs = ctx.attrs<NormAttrs>();
  PT_TRY(RequireNoAct(ctx, attrs.act));
  GraphBuilder& b = ctx.builder();
  const ValueId dy = ctx.result_grad();
  const ValueId x = ctx.operand(0), scale = ctx.operand(1);
  const ValueId mean = ctx.operand(3), var = ctx.operand(4);
  if (ctx.needs_grad(1)) {
    ctx.set_grad(1, b.Op(OpKind::kBatchNormFrozenGradScale, {dy, x, mean, var}, attrs));
  }
  if (ctx.needs_grad(2)) ctx.set_grad(2, b.SumToChannels(dy));
  if (ctx.needs_grad(0)) {
    ctx.set_grad(0, b.Op(OpKind::kBatchNormFrozenGradInput, {dy, scale, var}, attrs));
  }
  return absl::OkStatus();
}

absl::Status GradMaxPool(GradContext& ctx) {
  ctx.set_grad(0, ctx.builder().Op(OpKind::kMaxPoolGrad, {ctx.result_grad(), ctx.operand(0)},
                                   PoolGradAttrs(ctx)));
  return absl::OkStatus();
}

absl::Status GradAvgPool(GradContext& ctx) {
  ctx.set_grad(0, ctx.builder().Op(OpKind::kAvgPoolGrad, {ctx.result_grad()}, PoolGradAttrs(ctx)));
  return absl::OkStatus();
}

}  // namespace pocketune
