#include "autodiff/optimizers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/glob.h"
#include "graph/base/status_macros.h"
#include "graph/ir/builder.h"

namespace pocketune {
namespace {

struct OptimizerRow {
  OptimizerKind kind;
  const char* name;
  OpKind op;
  std::vector<const char*> states;
};

const std::vector<OptimizerRow>& Table() {
  static const std::vector<OptimizerRow> kTable = {
      {OptimizerKind::kSgd, "sgd", OpKind::kSgd, {}},
      {OptimizerKind::kMomentum, "momentum", OpKind::kMomentum, {"velocity"}},
      {OptimizerKind::kNesterov, "nesterov", OpKind::kMomentum, {"velocity"}},
      {OptimizerKind::kAdamW, "adamw", OpKind::kAdamW, {"m", "v"}},
  };
  return kTable;
}

const OptimizerRow& RowOf(OptimizerKind kind) { return Table()[static_cast<size_t>(kind)]; }

OptimizerAttrs AttrsFor(const OptimizerSpec& spec, const Value& param) {
  OptimizerAttrs attrs;
  const bool decays = spec.decay_bias_and_norm || param.role == ParamRole::kWeight;
  attrs.weight_decay = decays ? spec.weight_decay : 0.0;
  if (spec.kind == OptimizerKind::kMomentum || spec.kind == OptimizerKind::kNesterov) {
    attrs.momentum = spec.momentum;
    attrs.nesterov = spec.kind == OptimizerKind::kNesterov;
  }
  for (const ParamGroup& group : spec.groups) {
    if (!MatchesGlob(group.pattern, param.name)) continue;
    attrs.lr_scale = group.lr_scale;
    break;
  }
  return attrs;
}

absl::Status CheckGroups(const Graph& graph, const OptimizerSpec& spec) {
  for (const ParamGroup& group : spec.groups) {
    const bool matches =
        std::any_of(graph.values.begin(), graph.values.end(), [&](const Value& value) {
          return value.kind == ValueKind::kParam && MatchesGlob(group.pattern, value.name);
        });
    if (!matches) {
      return absl::InvalidArgumentError(absl::StrCat(
          "optimizer: no parameter matches the group's pattern (got ", group.pattern, ")"));
    }
  }
  return absl::OkStatus();
}

// Of the gradient's shape: where only slices of the parameter learn, they alone have a state.
ValueId AddState(Graph& graph, const ParamGrad& item, const char* suffix) {
  const Value model = graph.value(item.param);
  const ValueId id = graph.AddParam(absl::StrCat(model.name, "/", suffix), graph.shape(item.grad),
                                    ParamRole::kState, nullptr);
  Value& state = graph.value(id);
  state.section = model.section;
  state.block = model.block;
  state.trainable = true;
  return id;
}

}  // namespace

absl::StatusOr<OptimizerKind> ParseOptimizer(const std::string& text) {
  std::string known;
  for (const OptimizerRow& row : Table()) {
    if (text == row.name) return row.kind;
    absl::StrAppend(&known, known.empty() ? "" : ", ", row.name);
  }
  if (text == "lion") return absl::UnimplementedError("optimizer lion: not built yet");
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer: unknown name (got ", text, ", want ", known, ")"));
}

const char* NameOf(OptimizerKind kind) { return RowOf(kind).name; }

absl::Status AppendUpdates(Graph& graph, const std::vector<ParamGrad>& grads,
                           const OptimizerSpec& spec) {
  PT_TRY(CheckGroups(graph, spec));
  const OptimizerRow& row = RowOf(spec.kind);
  GraphBuilder builder(&graph, Phase::kUpdate);
  for (const ParamGrad& item : grads) {
    const OptimizerAttrs attrs = AttrsFor(spec, graph.value(item.param));
    std::vector<ValueId> operands = {item.param};
    for (const char* suffix : row.states) operands.push_back(AddState(graph, item, suffix));
    operands.push_back(item.grad);
    operands.push_back(item.index);
    graph.value(item.param).trainable = true;
    builder.set_loc(graph.value(item.param).name);
    builder.Multi(row.op, std::move(operands), attrs);
  }
  return builder.status();
}

}  // namespace pocketune
