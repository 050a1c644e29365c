#include "autodiff/autodiff.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "autodiff/grad_rules.h"
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

// For each value the first wanted one that it depends on, by ways that a gradient can go.
std::vector<ValueId> MarkDependents(const Graph& graph, const std::vector<ValueId>& wanted) {
  std::vector<ValueId> source(graph.values.size(), kNone);
  for (ValueId id : wanted) source[id] = id;
  for (const Node& node : graph.nodes) {
    if (!PropagatesGradient(node.op)) continue;
    for (ValueId operand : node.operands) {
      if (source[operand] == kNone) continue;
      for (ValueId result : node.results) {
        if (source[result] == kNone) source[result] = source[operand];
      }
    }
  }
  return source;
}

// Differentiates one node whose results' gradients are complete. `node` is a copy: the graph's own
// moves as nodes are appended.
absl::Status Differentiate(const Node& node, GraphBuilder* builder, GradState* state) {
  const auto has_grad = [&](ValueId id) { return state->grads[id] != kNone; };
  const auto is_wanted = [&](ValueId id) { return state->wanted[id] != kNone; };
  if (std::none_of(node.results.begin(), node.results.end(), has_grad) ||
      std::none_of(node.operands.begin(), node.operands.end(), is_wanted)) {
    return absl::OkStatus();
  }
  builder->set_loc(node.loc);
  GradContext ctx(node, builder, state);
  PT_TRY(GradRuleOf(node.op)(ctx));
  for (int i = 0; i < ctx.operands(); ++i) {
    if (ctx.needs_grad(i) && !ctx.given(i)) return ctx.Missing();
  }
  return builder->status();
}

}  // namespace

absl::StatusOr<std::vector<ParamGrad>> BuildBackward(Graph& graph, ValueId loss,
                                                     const std::vector<ValueId>& wanted) {
  if (graph.type(loss) != TensorType{}) {
    return absl::InvalidArgumentError(absl::StrCat("autodiff: the loss is not a scalar (got ",
                                                   ToString(graph.type(loss)), ", want f32[])"));
  }
  GradState state;
  state.wanted = MarkDependents(graph, wanted);
  state.grads.assign(graph.values.size(), kNone);
  state.slices.resize(graph.values.size());
  for (ValueId id : wanted) state.slices[id] = graph.value(id).slices;

  const NodeId forward_nodes = static_cast<NodeId>(graph.nodes.size());
  GraphBuilder builder(&graph, Phase::kBackward);
  if (state.wanted[loss] != kNone) {
    builder.set_loc("loss");
    state.grads[loss] = builder.Fill({}, 1.0);
  }
  for (NodeId n = forward_nodes - 1; n >= 0; --n) {
    const Node node = graph.nodes[n];
    PT_TRY(Differentiate(node, &builder, &state));
  }

  std::vector<ParamGrad> grads;
  for (ValueId id : wanted) {
    if (state.grads[id] == kNone) {
      return absl::InvalidArgumentError(absl::StrCat("autodiff: the loss does not depend on ",
                                                     graph.value(id).name,
                                                     ", whose gradient is wanted"));
    }
    grads.push_back({id, state.grads[id], kNone});
    if (state.slices[id] != nullptr) grads.back().index = SliceIndex(id, 1, &builder, &state);
  }
  if (!builder.status().ok()) return builder.status();
  graph.stage = Stage::kTraining;
  return grads;
}

std::vector<ValueId> LearningParams(const Graph& graph) {
  std::vector<ValueId> params;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    if (value.kind != ValueKind::kParam || !value.trainable) continue;
    if (value.role == ParamRole::kNormMean || value.role == ParamRole::kNormVar ||
        value.role == ParamRole::kState) {
      continue;
    }
    params.push_back(static_cast<ValueId>(i));
  }
  return params;
}

}  // namespace pocketune
