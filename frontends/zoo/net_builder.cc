#include "frontends/zoo/net_builder.h"

#include <algorithm>
#include <utility>

#include "frontends/builder.h"

namespace pocketune {

int64_t MakeDivisible(double v, int64_t divisor) {
  int64_t rounded = std::max(divisor, static_cast<int64_t>(v + divisor / 2.0) / divisor * divisor);
  if (static_cast<double>(rounded) < 0.9 * v) rounded += divisor;
  return rounded;
}

NetBuilder::NetBuilder(const ModelSpec& spec, double norm_eps)
    : spec_(spec), builder_(spec.name, spec.batch, norm_eps) {
  builder_.EnterStem();
}

Tensor NetBuilder::Image(int64_t height, int64_t width, int64_t channels) {
  return builder_.Input("image", {spec_.batch, height, width, channels});
}

Tensor NetBuilder::Conv(Tensor x, ConvLayer layer) {
  if (spec_.folded_norm) layer.norm.clear();
  return builder_.Conv(x, layer);
}

Tensor NetBuilder::Depthwise(Tensor x, ConvLayer layer) {
  if (spec_.folded_norm) layer.norm.clear();
  return builder_.Depthwise(x, layer);
}

Tensor NetBuilder::Linear(Tensor x, const std::string& name, int64_t out, const std::string& norm,
                          Activation act) {
  const std::string norm_of_its_own = spec_.folded_norm ? "" : norm;
  return builder_.Linear(x, {.name = name, .out = out, .norm = norm_of_its_own, .act = act});
}

Tensor NetBuilder::Classifier(Tensor x, const std::string& name) {
  builder_.EnterClassifier();
  if (spec_.dropout > 0) x = builder_.Dropout(x, spec_.dropout);
  return Linear(x, name, spec_.classes);
}

absl::StatusOr<Graph> NetBuilder::Finish(Tensor logits) {
  builder_.Classify(logits);
  return builder_.impl().Take();
}

}  // namespace pocketune
