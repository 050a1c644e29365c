#include "apps/search/finals.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/base/status_macros.h"
#include "sparse_bp/published.h"

namespace pocketune {
namespace {

Learning LearningOf(const std::vector<LayerUpdate>& layers) {
  Learning learning;
  for (size_t i = 0; i < layers.size(); ++i) {
    learning.biases += layers[i].bias;
    const Update& weight = layers[i].weight;
    if (weight.kind == Update::kNone || weight.ratio == 0.0) continue;
    learning.weights.push_back({static_cast<int>(i), weight.ratio});
  }
  return learning;
}

Learning LastLayers(const SearchSpace& space, int k) {
  Learning learning = {k, {}};
  for (int layer = space.layers() - k; layer < space.layers(); ++layer) {
    learning.weights.push_back({layer, 1.0});
  }
  return learning;
}

}  // namespace

absl::StatusOr<std::vector<Finalist>> KnownFinalists(
    const SearchSpace& space, const std::string& model,
    const std::function<absl::StatusOr<bool>(const Learning&)>& fits) {
  std::vector<Finalist> published, last;
  for (const std::string& name : McunetV3SchemeNames()) {
    PT_TRY_ASSIGN(const McunetV3Scheme scheme, FindMcunetV3Scheme(name));
    if (scheme.model != model || static_cast<int>(scheme.layers.size()) != space.layers()) continue;
    published.push_back({absl::StrCat("mcunetv3:", name), LearningOf(scheme.layers), {}});
  }
  for (int k = 1; k <= space.layers(); ++k) {
    last.push_back({absl::StrCat("last:", k), LastLayers(space, k), {}});
  }
  std::vector<Finalist> known;
  for (const std::vector<Finalist>& kind : {published, last}) {
    for (auto scheme = kind.rbegin(); scheme != kind.rend(); ++scheme) {
      PT_TRY_ASSIGN(const bool fit, fits(scheme->learning));
      if (!fit) continue;
      known.push_back(*scheme);
      break;
    }
  }
  return known;
}

absl::StatusOr<size_t> RunFinals(
    const std::function<absl::StatusOr<TrialResult>(const Finalist&)>& run, double max_ms,
    std::vector<Finalist>* finalists) {
  size_t best = 0;
  for (size_t i = 0; i < finalists->size(); ++i) {
    Finalist& finalist = (*finalists)[i];
    PT_TRY_ASSIGN(const TrialResult result, run(finalist));
    finalist.result = result;
    const bool in_time = result.step_ms <= max_ms;
    if (in_time && result.val_loss < (*finalists)[best].result.val_loss) best = i;
  }
  return best;
}

}  // namespace pocketune
