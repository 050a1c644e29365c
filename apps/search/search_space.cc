#include "apps/search/search_space.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "graph/base/status_macros.h"
#include "sparse_bp/memory_model.h"
#include "sparse_bp/scheme.h"

namespace pocketune {

absl::StatusOr<SearchSpace> SearchSpace::Of(const Graph& forward) {
  SearchSpace space(forward);
  if (space.layers() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(forward.name, ": there is nothing to choose: no layer before the classifier"));
  }
  for (int k = 0; k <= space.layers(); ++k) {
    PT_TRY_ASSIGN(const int64_t bytes, space.BytesOf({k, {}}));
    space.bias_bytes_.push_back(bytes);
  }
  for (int layer = 0; layer < space.layers(); ++layer) {
    space.weight_bytes_.emplace_back();
    const int k = space.layers() - layer;
    for (const double ratio : kRatios) {
      PT_TRY_ASSIGN(const int64_t bytes, space.BytesOf({k, {{layer, ratio}}}));
      space.weight_bytes_.back().push_back(bytes - space.bias_bytes_[k]);
    }
  }
  return space;
}

int64_t SearchSpace::WeightBytes(int layer, double ratio) const {
  const auto* at = std::find(std::begin(kRatios), std::end(kRatios), ratio);
  return weight_bytes_[layer][at - std::begin(kRatios)];
}

absl::StatusOr<int64_t> SearchSpace::BytesOf(const Learning& learning) const {
  UpdateScheme scheme;
  scheme.text = "search";
  scheme.kind = UpdateScheme::Kind::kLayers;
  scheme.layers.resize(layers_.size());
  for (int i = layers() - learning.biases; i < layers(); ++i) scheme.layers[i].bias = true;
  for (const Learning::Weight& weight : learning.weights) {
    scheme.layers[weight.layer].weight = Update::Channels(weight.ratio);
  }
  Graph marked = forward_;
  PT_TRY(ApplyScheme(marked, scheme));
  return McunetV3Memory(marked).bytes;
}

std::vector<std::pair<std::string, std::string>> SearchSpace::RulesOf(
    const Learning& learning) const {
  std::vector<std::pair<std::string, std::string>> rules;
  for (int i = layers() - learning.biases; i < layers(); ++i) {
    if (layers_[i].bias != kNone) rules.push_back({forward_.value(layers_[i].bias).name, "bias"});
  }
  for (const Learning::Weight& weight : learning.weights) {
    const std::string update =
        weight.ratio == 1.0 ? "all" : absl::StrFormat("channels(%g)", weight.ratio);
    rules.push_back({weight_name(weight.layer), update});
  }
  return rules;
}

std::string SearchSpace::SchemeText(const Learning& learning) const {
  const auto rules = RulesOf(learning);
  return rules.empty() ? "head" : absl::StrJoin(rules, ",", absl::PairFormatter("="));
}

nlohmann::json SearchSpace::SchemeJson(const Learning& learning) const {
  nlohmann::json params = nlohmann::json::array();
  for (const auto& [pattern, update] : RulesOf(learning)) {
    params.push_back({{"pattern", pattern}, {"update", update}});
  }
  return {{"model", forward_.name}, {"default", "none"}, {"params", params}};
}

}  // namespace pocketune
