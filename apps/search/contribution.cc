#include "apps/search/contribution.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/train/exit_code.h"
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

constexpr int kBiasStep = 3;     // layers from one trial of biases to the next
constexpr int kIdleBiases = 4;   // trials without gain before the analysis goes no further
constexpr int kIdleWeights = 8;  // layers

class Analysis {
 public:
  Analysis(const SearchSpace& space, const AnalysisOptions& options)
      : space_(space), options_(options) {}

  absl::StatusOr<Contributions> Run() {
    PT_TRY_ASSIGN(TrialResult head, Try("head", {}));
    if (!std::isfinite(head.val_loss)) {
      return Fail(ExitCode::kNumerics,
                  "search: training the classifier alone diverges; lower --lr");
    }
    found_.head = head;
    PT_TRY(TryBiases());
    found_.ratios.resize(space_.layers());
    found_.weights.resize(space_.layers());
    PT_TRY(TryWeights());
    return std::move(found_);
  }

 private:
  absl::StatusOr<TrialResult> Try(const std::string& key, const Learning& learning) {
    PT_TRY_ASSIGN(TrialResult result, options_.run(key, learning));
    ++found_.trials;
    if (options_.on_trial) options_.on_trial(found_.trials, AtMostLeft());
    return result;
  }

  bool BiasesFit(int k) const { return space_.BiasBytes(k) <= options_.max_bytes; }
  bool WeightFits(int layer, double ratio) const {
    const int64_t bytes = space_.WeightBytes(layer, ratio);
    return bytes > 0 && space_.BiasBytes(space_.layers() - layer) + bytes <= options_.max_bytes;
  }

  int AtMostLeft() const {
    int left = ratios_left_;
    for (int k = last_bias_ + kBiasStep; in_biases_ && k < space_.layers() + kBiasStep;
         k += kBiasStep) {
      left += BiasesFit(std::min(k, space_.layers()));
    }
    const int first = in_biases_ ? 0 : space_.layers() - last_bias_;
    for (int layer = first; layer < next_layer_; ++layer) {
      for (const double ratio : kRatios) left += WeightFits(layer, ratio);
    }
    return left;
  }

  // Gain and time beyond the classifier alone. A diverging trial brings nothing.
  ChoiceValue ValueOf(const TrialResult& result) const {
    const double gain = std::isfinite(result.val_loss) ? found_.head.val_loss - result.val_loss : 0;
    return {gain, 0, std::max(0.0, result.step_ms - found_.head.step_ms)};
  }

  absl::Status TryBiases() {
    found_.biases.push_back({0, space_.BiasBytes(0), 0});
    double best = 0;
    for (int idle = 0; idle < kIdleBiases && last_bias_ < space_.layers();) {
      const int k = std::min(last_bias_ + kBiasStep, space_.layers());
      if (!BiasesFit(k)) break;
      last_bias_ = k;
      PT_TRY_ASSIGN(const TrialResult result, Try(absl::StrCat("biases:", k), {k, {}}));
      const ChoiceValue value = ValueOf(result);
      InterpolateTo(k, value);
      idle = value.gain > best ? 0 : idle + 1;
      best = std::max(best, value.gain);
    }
    found_.biases_tried = last_bias_;
    const ChoiceValue last = found_.biases.back();
    for (int k = last_bias_ + 1; k <= space_.layers(); ++k) {
      found_.biases.push_back({last.gain, space_.BiasBytes(k), last.ms});
    }
    in_biases_ = false;
    return absl::OkStatus();
  }

  void InterpolateTo(int k, const ChoiceValue& value) {
    const int from = static_cast<int>(found_.biases.size()) - 1;
    const ChoiceValue before = found_.biases.back();
    for (int i = from + 1; i <= k; ++i) {
      const double part = static_cast<double>(i - from) / (k - from);
      found_.biases.push_back({before.gain + part * (value.gain - before.gain), space_.BiasBytes(i),
                               before.ms + part * (value.ms - before.ms)});
    }
  }

  absl::Status TryWeights() {
    int idle = 0;
    const int first = space_.layers() - last_bias_;
    for (int layer = space_.layers() - 1; layer >= first && idle < kIdleWeights; --layer) {
      next_layer_ = layer;
      PT_TRY(TryWeight(layer));
      ratios_left_ = 0;
      idle = found_.weights[layer].empty() ? idle + 1 : 0;
    }
    return absl::OkStatus();
  }

  absl::Status TryWeight(int layer) {
    const int k = space_.layers() - layer;
    for (const double ratio : kRatios) ratios_left_ += WeightFits(layer, ratio);
    int64_t last_bytes = 0;
    for (const double ratio : kRatios) {
      if (!WeightFits(layer, ratio)) continue;
      --ratios_left_;
      // Of few channels two parts may be the same.
      const int64_t bytes = space_.WeightBytes(layer, ratio);
      if (bytes == last_bytes) continue;
      last_bytes = bytes;
      const std::string key = absl::StrFormat("biases:%d weight:%d@%g", k, layer, ratio);
      PT_TRY_ASSIGN(const TrialResult result, Try(key, {k, {{layer, ratio}}}));
      const ChoiceValue value = ValueOf(result);
      const ChoiceValue& without = found_.biases[k];
      const double gain = value.gain - without.gain;
      if (gain <= 0) return absl::OkStatus();
      found_.ratios[layer].push_back(ratio);
      found_.weights[layer].push_back({gain, bytes, std::max(0.0, value.ms - without.ms)});
    }
    return absl::OkStatus();
  }

  const SearchSpace& space_;
  const AnalysisOptions& options_;
  Contributions found_;
  bool in_biases_ = true;
  int last_bias_ = 0;
  int next_layer_ = space_.layers();  // weights of those before it may still be tried
  int ratios_left_ = 0;               // of the weight at hand
};

}  // namespace

absl::StatusOr<Contributions> AnalyseContributions(const SearchSpace& space,
                                                   const AnalysisOptions& options) {
  return Analysis(space, options).Run();
}

Learning LearningOf(const Contributions& contributions, const Selection& selection) {
  Learning learning;
  learning.biases = selection.biases;
  for (size_t layer = 0; layer < selection.weights.size(); ++layer) {
    const int choice = selection.weights[layer];
    if (choice < 0) continue;
    learning.weights.push_back({static_cast<int>(layer), contributions.ratios[layer][choice]});
  }
  return learning;
}

}  // namespace pocketune
