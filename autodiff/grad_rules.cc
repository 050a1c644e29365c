#include "autodiff/grad_rules.h"

#include <algorithm>

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

ValueId SliceIndex(ValueId value, int repeat, GraphBuilder* builder, GradState* state) {
  const auto [found, inserted] = state->indices.try_emplace({value, repeat}, kNone);
  if (!inserted) return found->second;
  Graph& graph = builder->graph();
  const auto& [axis, numbers] = *state->slices[value];
  const int64_t slices = graph.shape(value)[axis];
  std::vector<float> index;
  for (int r = 0; r < repeat; ++r) {
    for (int32_t number : numbers) index.push_back(static_cast<float>(r * slices + number));
  }
  std::string name = absl::StrCat(graph.value(value).name, "/slices");
  if (repeat > 1) absl::StrAppend(&name, ".", repeat);
  const Shape shape = {static_cast<int64_t>(index.size())};
  found->second = graph.AddConst(std::move(name), shape,
                                 std::make_shared<const std::vector<float>>(std::move(index)));
  return found->second;
}

ValueId GradContext::Pick(ValueId x, int axis, int i, int groups) {
  const ValueId index = SliceIndex(operand(i), groups, &builder_, &state_);
  const auto& operands = node_.operands;
  const bool forward = std::find(operands.begin(), operands.end(), x) != operands.end();
  if (forward) builder_.set_phase(Phase::kForward);
  const ValueId picked = builder_.Op(OpKind::kGather, {x, index}, AxisAttrs{.axis = axis});
  builder_.set_phase(Phase::kBackward);
  return picked;
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
