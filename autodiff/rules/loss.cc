// Gradients of the losses. Sample weights have none: they tell padding from samples.
#include "autodiff/grad_rules.h"

namespace pocketune {

absl::Status GradSoftmaxCrossEntropy(GradContext& ctx) {
  if (!ctx.needs_grad(0)) return ctx.Missing();
  ctx.set_grad(0,
               ctx.builder().Op(OpKind::kSoftmaxCrossEntropyGrad,
                                {ctx.result_grad(), ctx.operand(0), ctx.operand(1), ctx.operand(2)},
                                ctx.node().attrs));
  return absl::OkStatus();
}

absl::Status GradMeanSquaredError(GradContext& ctx) {
  if (!ctx.needs_grad(0) && !ctx.needs_grad(1)) return ctx.Missing();
  GraphBuilder& b = ctx.builder();
  const ValueId grad = b.Op(OpKind::kMeanSquaredErrorGrad,
                            {ctx.result_grad(), ctx.operand(0), ctx.operand(1), ctx.operand(2)});
  if (ctx.needs_grad(0)) ctx.set_grad(0, grad);
  if (ctx.needs_grad(1)) ctx.set_grad(1, b.Affine(grad, -1.0));
  return absl::OkStatus();
}

}  // namespace pocketune
