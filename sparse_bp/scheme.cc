#include "sparse_bp/scheme.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "autodiff/autodiff.h"
#include "autodiff/glob.h"
#include "graph/base/status_macros.h"
#include "graph/ir/text_distance.h"
#include "sparse_bp/channels.h"
#include "sparse_bp/layers.h"

namespace pocketune {
namespace {

using Kind = UpdateScheme::Kind;

bool IsBias(const Value& param) {
  return param.role == ParamRole::kBias || param.role == ParamRole::kNormShift;
}

// Can a scheme make it learn?
bool IsModelParam(const Value& value) {
  return value.kind == ValueKind::kParam &&
         (IsBias(value) || value.role == ParamRole::kWeight || value.role == ParamRole::kNormScale);
}

int CountBlocks(const Graph& graph) {
  int blocks = 0;
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kParam && value.section == Section::kBlock) {
      blocks = std::max(blocks, value.block + 1);
    }
  }
  return blocks;
}

absl::Status Refuse(const UpdateScheme& scheme, const std::string& fact) {
  return absl::InvalidArgumentError(
      absl::StrCat("scheme ", absl::Utf8SafeCEscape(scheme.text), ": ", fact));
}

// Each rule must match something: a misspelt one would freeze what it meant, in silence.
absl::Status CheckRules(const Graph& graph, const UpdateScheme& scheme) {
  std::vector<std::string> names;
  for (const Value& value : graph.values) {
    if (IsModelParam(value)) names.push_back(value.name);
  }
  for (const UpdateRule& rule : scheme.rules) {
    const bool matched = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return MatchesGlob(rule.pattern, name);
    });
    if (matched) continue;
    const std::string nearest = Nearest(rule.pattern, names);
    return Refuse(scheme,
                  absl::StrCat("no parameter matches (got ", absl::Utf8SafeCEscape(rule.pattern),
                               nearest.empty() ? "" : ", nearest is ", nearest, ")"));
  }
  return absl::OkStatus();
}

// Are there as many blocks or layers as the scheme names?
absl::Status CheckCount(const UpdateScheme& scheme, const char* what, int count) {
  if (count == 0) return Refuse(scheme, absl::StrCat("the model has no ", what));
  if (scheme.count >= 1 && scheme.count <= count) return absl::OkStatus();
  return Refuse(scheme, absl::StrCat("the model has ", count, " ", what, " (got ", scheme.count,
                                     ", want 1 to ", count, ")"));
}

absl::Status CheckModel(const Graph& graph, const UpdateScheme& scheme) {
  if (scheme.model.empty() || scheme.model == graph.name) return absl::OkStatus();
  return Refuse(scheme,
                absl::StrCat("is for another model (got ", absl::Utf8SafeCEscape(graph.name),
                             ", want ", absl::Utf8SafeCEscape(scheme.model), ")"));
}

// Of the parameter alone, whatever its role: by section and block.
Update UpdateBySection(const UpdateScheme& scheme, const Value& param, int blocks) {
  const bool in_last = param.section == Section::kBlock && param.block >= blocks - scheme.count;
  switch (scheme.kind) {
    case Kind::kFull:
      return Update::kAll;
    case Kind::kBias:
      return Update::kBias;
    case Kind::kBiasBlocks:
      return in_last ? Update::kBias : Update::kNone;
    case Kind::kBlocks:
      return in_last || param.section == Section::kTail ? Update::kAll : Update::kNone;
    default:
      return Update::kNone;
  }
}

Update UpdateByRule(const UpdateScheme& scheme, const Value& param) {
  Update update = scheme.fallback;
  for (const UpdateRule& rule : scheme.rules) {
    if (MatchesGlob(rule.pattern, param.name)) update = rule.update;
  }
  return update;
}

bool IsNamed(const UpdateScheme& scheme, const Value& param) {
  return std::any_of(scheme.rules.begin(), scheme.rules.end(),
                     [&](const UpdateRule& rule) { return MatchesGlob(rule.pattern, param.name); });
}

// What the scheme says of the model's layers.
absl::StatusOr<std::vector<LayerUpdate>> LayerUpdatesOf(const UpdateScheme& scheme,
                                                        const Graph& graph, int layers) {
  if (scheme.kind == Kind::kPockEngine) {
    absl::StatusOr<std::vector<LayerUpdate>> updates = PockEngineScheme(graph);
    if (!updates.ok()) return Refuse(scheme, std::string(updates.status().message()));
    return updates;
  }
  if (scheme.kind == Kind::kLayers) {
    const int want = static_cast<int>(scheme.layers.size());
    if (want == layers) return scheme.layers;
    return Refuse(scheme, absl::StrCat("is for a model with other layers (got ", layers, ", want ",
                                       want, ")"));
  }
  PT_TRY(CheckCount(scheme, "layers", layers));
  std::vector<LayerUpdate> updates(static_cast<size_t>(layers));
  for (int i = layers - scheme.count; i < layers; ++i) updates[i] = {true, Update::kAll};
  return updates;
}

// The update of each value; of what is no parameter of the model none.
absl::StatusOr<std::vector<Update>> UpdatesOf(const Graph& graph, const UpdateScheme& scheme) {
  std::vector<Update> updates(graph.values.size());
  const bool by_layer = scheme.kind == Kind::kLast || scheme.kind == Kind::kLayers ||
                        scheme.kind == Kind::kPockEngine;
  if (by_layer) {
    const std::vector<Layer> layers = LayersOf(graph);
    PT_TRY_ASSIGN(const std::vector<LayerUpdate> of_layers,
                  LayerUpdatesOf(scheme, graph, static_cast<int>(layers.size())));
    for (size_t i = 0; i < layers.size(); ++i) {
      updates[layers[i].weight] = of_layers[i].weight;
      if (layers[i].bias != kNone && of_layers[i].bias) updates[layers[i].bias] = Update::kBias;
    }
    return updates;
  }
  const int blocks = CountBlocks(graph);
  if (scheme.kind == Kind::kBiasBlocks || scheme.kind == Kind::kBlocks) {
    PT_TRY(CheckCount(scheme, "blocks", blocks));
  }
  for (size_t i = 0; i < updates.size(); ++i) {
    const Value& value = graph.values[i];
    if (!IsModelParam(value)) continue;
    updates[i] = scheme.kind == Kind::kRules ? UpdateByRule(scheme, value)
                                             : UpdateBySection(scheme, value, blocks);
  }
  return updates;
}

// Marks what of one parameter learns. `axis` numbers its input channels; kNone: it has none.
absl::Status Mark(Value& param, int axis, const Update& update, const UpdateScheme& scheme) {
  param.slices = nullptr;
  param.trainable = update.kind == Update::kAll || (update.kind != Update::kNone && IsBias(param));
  if (update.kind != Update::kChannels || param.role != ParamRole::kWeight) return absl::OkStatus();
  if (axis == kNone) {
    // Of every layer, which this is no weight of, or of this one by name?
    if (!IsNamed(scheme, param)) return absl::OkStatus();
    return Refuse(scheme, absl::StrCat(param.name,
                                       " has no input channels: it is no weight of a convolution "
                                       "or a linear layer"));
  }
  const int64_t channels = param.type.shape[axis];
  const int64_t count = CountOf(update.ratio, channels);
  param.trainable = count > 0;
  if (count > 0 && count < channels) param.slices = PickChannels(param, axis, update);
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyScheme(Graph& forward, const UpdateScheme& scheme) {
  PT_TRY(CheckModel(forward, scheme));
  PT_TRY(CheckRules(forward, scheme));
  PT_TRY_ASSIGN(const std::vector<Update> updates, UpdatesOf(forward, scheme));
  const std::vector<int> axes = ChannelAxes(forward);
  for (size_t i = 0; i < forward.values.size(); ++i) {
    Value& value = forward.values[i];
    if (!IsModelParam(value)) continue;
    const Update update = value.section == Section::kClassifier ? Update::kAll : updates[i];
    PT_TRY(Mark(value, axes[i], update, scheme));
  }
  if (LearningParams(forward).empty()) {
    return Refuse(scheme, "nothing would learn: the model has no classifier");
  }
  return absl::OkStatus();
}

bool UsesBatchStatistics(const UpdateScheme& scheme) { return scheme.kind == Kind::kFull; }

int64_t CountTrainableParams(const Graph& graph) {
  int64_t count = 0;
  for (ValueId id : LearningParams(graph)) count += LearningElems(graph.value(id));
  return count;
}

}  // namespace pocketune
