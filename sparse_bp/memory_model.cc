#include "sparse_bp/memory_model.h"

#include "engine/base/math.h"
#include "sparse_bp/layers.h"

namespace pocketune {
namespace {

bool Learns(const Graph& graph, ValueId param) {
  return param != kNone && graph.value(param).trainable;
}

// Input channels whose weights learn.
int64_t LearningChannels(const Value& weight, const LayerSizes& sizes) {
  if (!weight.trainable) return 0;
  if (weight.slices == nullptr) return sizes.in_channels;
  // Of a convolution in groups each has its own.
  const auto learning = static_cast<int64_t>(weight.slices->numbers.size());
  return sizes.in_channels / weight.type.shape[weight.slices->axis] * learning;
}

// Elements of the classifier's input per sample.
int64_t ClassifierInput(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (!node.info().Has(kHasMacs)) continue;
    const Value& weight = graph.value(node.operands[1]);
    if (weight.kind != ValueKind::kParam || weight.section != Section::kClassifier) continue;
    const Shape& x = graph.shape(node.operands[0]);
    return x.elems() / x[0];
  }
  return 0;
}

}  // namespace

ExtraMemory McunetV3Memory(const Graph& forward) {
  ExtraMemory memory;
  int64_t bits = 8 * ClassifierInput(forward);
  bool reached = false;  // does the gradient come to this layer?
  for (const Layer& layer : LayersOf(forward)) {
    const Value& weight = forward.value(layer.weight);
    const LayerSizes sizes = SizesOf(forward, layer);
    const bool bias_learns = Learns(forward, layer.bias);
    reached = reached || weight.trainable || bias_learns;
    if (!reached) continue;
    bits += sizes.out_channels * sizes.out_pixels;
    if (bias_learns) {
      memory.trained_biases += sizes.out_channels;
      bits += 32 * sizes.out_channels;
    }
    if (!weight.trainable) continue;
    const int64_t elems = LearningElems(weight);
    memory.trained_weights += elems;
    bits += 8 * (elems + LearningChannels(weight, sizes) * sizes.in_pixels);
  }
  memory.bytes = CeilDiv(bits, 8);
  return memory;
}

}  // namespace pocketune
