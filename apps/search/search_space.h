// What a scheme search may let learn, and what that costs in MCUNetV3's memory model.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"
#include "sparse_bp/layers.h"

namespace pocketune {

// What learns beside the classifier: the biases of the last `biases` layers, and of some of these
// the weights of a part of the input channels.
struct Learning {
  struct Weight {
    int layer = 0;
    double ratio = 1.0;  // in (0, 1]
    bool operator==(const Weight&) const = default;
  };
  int biases = 0;
  std::vector<Weight> weights;
  bool operator==(const Learning&) const = default;
};

// The parts of a weight that may learn, the largest first: the published schemes' alphabet.
inline constexpr double kRatios[] = {1.0, 0.5, 0.25, 0.125};

class SearchSpace {
 public:
  // INVALID_ARGUMENT for a model without layers before its classifier, or without a classifier.
  static absl::StatusOr<SearchSpace> Of(const Graph& forward);

  int layers() const { return static_cast<int>(layers_.size()); }
  const std::string& weight_name(int layer) const {
    return forward_.value(layers_[layer].weight).name;
  }

  // Extra memory (McunetV3Memory) of the biases of the last k layers alone, bytes.
  int64_t BiasBytes(int k) const { return bias_bytes_[k]; }
  // What a part of the weight of a layer whose bias learns adds to that; 0: no channel is in it.
  int64_t WeightBytes(int layer, double ratio) const;
  // Of all that learns. Errors of ApplyScheme.
  absl::StatusOr<int64_t> BytesOf(const Learning& learning) const;

  // The scheme as text that ParseScheme takes, and as a scheme file for this model.
  std::string SchemeText(const Learning& learning) const;
  nlohmann::json SchemeJson(const Learning& learning) const;

 private:
  explicit SearchSpace(const Graph& forward) : forward_(forward), layers_(LayersOf(forward)) {}
  // Patterns and updates; classifiers learn without.
  std::vector<std::pair<std::string, std::string>> RulesOf(const Learning& learning) const;

  Graph forward_;
  std::vector<Layer> layers_;
  std::vector<int64_t> bias_bytes_;                 // [k]
  std::vector<std::vector<int64_t>> weight_bytes_;  // [layer][index in kRatios]
};

}  // namespace pocketune
