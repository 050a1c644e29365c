#include "autodiff/grad_rules.h"

#include "absl/strings/str_cat.h"

namespace pocketune {
namespace {

constexpr GradRule kRules[] = {
#define PT_OP(kind, name, least, most, results, attrs, traits, rule, gradient) &Grad##gradient,
#include "engine/ops/ops.def"
#undef PT_OP
};

std::string Where(const Node& node) {
  return node.loc.empty() ? node.info().name : absl::StrCat(node.info().name, " (", node.loc, ")");
}

}  // namespace

absl::Status GradContext::Missing() const {
  ValueId wanted = kNone;
  for (int i = 0; i < operands() && wanted == kNone; ++i) {
    if (needs_grad(i) && !given(i)) wanted = state_.wanted[operand(i)];
  }
  return absl::InvalidArgumentError(
      absl::StrCat("autodiff: a wanted gradient flows through ", Where(node_),
                   ", which has no gradient rule; tensor ", builder_.graph().value(wanted).name));
}

GradRule GradRuleOf(OpKind kind) { return kRules[static_cast<int>(kind)]; }
bool PropagatesGradient(OpKind kind) { return GradRuleOf(kind) != &GradConstant; }
bool HasGradientRule(OpKind kind) {
  return PropagatesGradient(kind) && GradRuleOf(kind) != &GradNoGradient;
}

absl::Status GradConstant(GradContext&) { return absl::OkStatus(); }
absl::Status GradNoGradient(GradContext& ctx) { return ctx.Missing(); }

absl::Status RequireNoAct(const GradContext& ctx, Act act) {
  if (act == Act::kNone) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("autodiff: ", Where(ctx.node()),
                   ": the activation is fused before the gradient is taken (got act ",
                   static_cast<int>(act), ", want none)"));
}

}  // namespace pocketune
