#include "frontends/initialize.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/rng.h"

namespace pocketune {
namespace {

HostData Constant(int64_t n, float value) {
  return std::make_shared<const std::vector<float>>(n, value);
}

HostData Normal(const std::string& name, int64_t n, double stddev, uint64_t seed) {
  auto data = std::make_shared<std::vector<float>>(n);
  const RandomStream stream(seed, name);
  for (int64_t i = 0; i < n; ++i) (*data)[i] = static_cast<float>(stddev * stream.Normal(i));
  return data;
}

// Inputs that one output sees. Depthwise filters are HWC, all others have outputs first.
double FanIn(const Value& weight) {
  const Shape& shape = weight.type.shape;
  if (shape.rank() == 0) return 1;
  const int64_t outputs = weight.layout == ParamLayout::kDepthwise ? shape[2] : shape[0];
  return static_cast<double>(shape.elems()) / static_cast<double>(outputs);
}

}  // namespace

void InitializeParams(Graph& graph, uint64_t seed) {
  for (Value& value : graph.values) {
    if (value.kind != ValueKind::kParam || value.data || value.role == ParamRole::kState) continue;
    const int64_t n = value.type.shape.elems();
    if (value.role == ParamRole::kWeight) {
      const double stddev =
          value.section == Section::kClassifier ? 0.01 : std::sqrt(2.0 / FanIn(value));
      value.data = Normal(value.name, n, stddev, seed);
    } else {
      const bool one = value.role == ParamRole::kNormScale || value.role == ParamRole::kNormVar;
      value.data = Constant(n, one ? 1.0f : 0.0f);
    }
  }
}

}  // namespace pocketune
