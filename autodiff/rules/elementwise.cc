// Gradients of activations and of arithmetic with broadcasting.
#include "autodiff/grad_rules.h"

namespace pocketune {
namespace {

// dx = grad(dy, saved), with the forward node's attributes.
absl::Status Saved(GradContext& ctx, OpKind grad, ValueId saved) {
  ctx.set_grad(0, ctx.builder().Op(grad, {ctx.result_grad(), saved}, ctx.node().attrs));
  return absl::OkStatus();
}

// Sets the gradient of a binary op's operand from one of the result's shape.
void SetSummed(GradContext& ctx, int i, ValueId grad) {
  ctx.set_grad(i, ctx.builder().SumTo(grad, ctx.shape(ctx.operand(i))));
}

}  // namespace

// Ops whose derivative is cheapest from the result save the result, the others their operand.
absl::Status GradRelu(GradContext& ctx) { return Saved(ctx, OpKind::kReluGrad, ctx.result()); }
absl::Status GradRelu6(GradContext& ctx) { return Saved(ctx, OpKind::kRelu6Grad, ctx.result()); }
absl::Status GradSigmoid(GradContext& ctx) {
  return Saved(ctx, OpKind::kSigmoidGrad, ctx.result());
}
absl::Status GradTanh(GradContext& ctx) { return Saved(ctx, OpKind::kTanhGrad, ctx.result()); }
absl::Status GradHardSwish(GradContext& ctx) {
  return Saved(ctx, OpKind::kHardSwishGrad, ctx.operand(0));
}
absl::Status GradHardSigmoid(GradContext& ctx) {
  return Saved(ctx, OpKind::kHardSigmoidGrad, ctx.operand(0));
}
absl::Status GradSilu(GradContext& ctx) { return Saved(ctx, OpKind::kSiluGrad, ctx.operand(0)); }
// d softplus(x) = dy sigmoid(x).
absl::Status GradSoftplus(GradContext& ctx) {
  return Saved(ctx, OpKind::kMul, ctx.builder().Op(OpKind::kSigmoid, {ctx.operand(0)}));
}
absl::Status GradClamp(GradContext& ctx) { return Saved(ctx, OpKind::kClampGrad, ctx.operand(0)); }

absl::Status GradAdd(GradContext& ctx) {
  for (int i = 0; i < 2; ++i) {
    if (ctx.needs_grad(i)) SetSummed(ctx, i, ctx.result_grad());
  }
  return absl::OkStatus();
}

// The sign is turned after the sum, which is the smaller tensor.
absl::Status GradSub(GradContext& ctx) {
  GraphBuilder& b = ctx.builder();
  if (ctx.needs_grad(0)) SetSummed(ctx, 0, ctx.result_grad());
  if (ctx.needs_grad(1)) {
    ctx.set_grad(1, b.Affine(b.SumTo(ctx.result_grad(), ctx.shape(ctx.operand(1))), -1.0));
  }
  return absl::OkStatus();
}

absl::Status GradMul(GradContext& ctx) {
  for (int i = 0; i < 2; ++i) {
    if (!ctx.needs_grad(i)) continue;
    SetSummed(ctx, i, ctx.builder().Op(OpKind::kMul, {ctx.result_grad(), ctx.operand(1 - i)}));
  }
  return absl::OkStatus();
}

// y = a / b: da = dy / b, db = -(dy / b) y.
absl::Status GradDiv(GradContext& ctx) {
  GraphBuilder& b = ctx.builder();
  const ValueId quotient = b.Op(OpKind::kDiv, {ctx.result_grad(), ctx.operand(1)});
  if (ctx.needs_grad(0)) SetSummed(ctx, 0, quotient);
  if (ctx.needs_grad(1)) {
    const ValueId product = b.Op(OpKind::kMul, {quotient, ctx.result()});
    ctx.set_grad(1, b.Affine(b.SumTo(product, ctx.shape(ctx.operand(1))), -1.0));
  }
  return absl::OkStatus();
}

absl::Status GradExp(GradContext& ctx) { return Saved(ctx, OpKind::kMul, ctx.result()); }
absl::Status GradLog(GradContext& ctx) { return Saved(ctx, OpKind::kDiv, ctx.operand(0)); }

// d sqrt(x) = dy / (2 y).
absl::Status GradSqrt(GradContext& ctx) {
  GraphBuilder& b = ctx.builder();
  ctx.set_grad(0, b.Affine(b.Op(OpKind::kDiv, {ctx.result_grad(), ctx.result()}), 0.5));
  return absl::OkStatus();
}

absl::Status GradAffine(GradContext& ctx) {
  ctx.set_grad(0, ctx.builder().Affine(ctx.result_grad(), ctx.attrs<AffineAttrs>().factor));
  return absl::OkStatus();
}

// The mask is made again from salt and step, not saved.
absl::Status GradDropout(GradContext& ctx) {
  ctx.set_grad(0, ctx.builder().Op(OpKind::kDropout, {ctx.result_grad()}, ctx.node().attrs));
  return absl::OkStatus();
}

}  // namespace pocketune
