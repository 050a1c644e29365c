// The table of gradient rules: the last column of ops.def.
#pragma once

#include "autodiff/grad_context.h"

namespace pocketune {

// Emits the vector-Jacobian product of one node: from result_grad(i) the gradient of every operand
// with needs_grad(i), and not a node more than these need.
using GradRule = absl::Status (*)(GradContext& ctx);

#define PT_OP(kind, name, least, most, results, attrs, traits, rule, gradient) \
  absl::Status Grad##gradient(GradContext& ctx);
#include "engine/ops/ops.def"
#undef PT_OP

GradRule GradRuleOf(OpKind kind);
// False for ops through which nothing flows by definition ("Constant").
bool PropagatesGradient(OpKind kind);
// False for those too, and for ops without a rule ("NoGradient").
bool HasGradientRule(OpKind kind);

// The gradient ops know no activation: it must still be a node of its own.
absl::Status RequireNoAct(const GradContext& ctx, Act act);

}  // namespace pocketune
