// What the zoo's models are written in: a ModelBuilder that knows the spec.
#pragma once

#include <string>

#include "frontends/zoo/zoo.h"
#include "pocketune/model_builder.h"

namespace pocketune {

// Writes a model layer by layer. Errors stick, as in ModelBuilder.
class NetBuilder {
 public:
  // Batch norms are left out where the spec's weights have them folded.
  NetBuilder(const ModelSpec& spec, double norm_eps);

  void NextBlock() { builder_.NextBlock(); }
  void EnterTail() { builder_.EnterTail(); }

  Tensor Image(int64_t height, int64_t width, int64_t channels);
  Tensor Conv(Tensor x, ConvLayer layer);
  Tensor Depthwise(Tensor x, ConvLayer layer);
  Tensor Linear(Tensor x, const std::string& name, int64_t out, const std::string& norm = "",
                Activation act = Activation::kNone);
  Tensor Activate(Tensor x, Activation act) { return builder_.Activate(x, act); }
  Tensor Add(Tensor a, Tensor b) { return builder_.Add(a, b); }
  Tensor MaxPool(Tensor x, int kernel, int stride, int pad = 0) {
    return builder_.MaxPool(x, kernel, stride, pad);
  }
  Tensor GlobalAveragePool(Tensor x) { return builder_.GlobalAveragePool(x); }
  Tensor Flatten(Tensor x) { return builder_.Flatten(x); }
  // Dropout of the spec's rate, then the linear layer of the classifier's section.
  Tensor Classifier(Tensor x, const std::string& name);
  int64_t channels(Tensor x) const { return builder_.shape(x)[-1]; }

  // Makes `logits` the output and gives the graph away.
  absl::StatusOr<Graph> Finish(Tensor logits);

 private:
  ModelSpec spec_;
  ModelBuilder builder_;
};

// Nearest multiple of `divisor`, at least it, and not below 90 % of v (MobileNetV2's rule).
int64_t MakeDivisible(double v, int64_t divisor = 8);

}  // namespace pocketune
