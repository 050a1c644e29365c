// Graphs that stress the scheduler and the planner: random ones, and the joint graph of a network
// of inverted residuals as training makes it.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/rng.h"
#include "graph/ir/builder.h"

namespace pocketune::testing {

// A random valid graph of `nodes` nodes or a few more: views, ops that may run in place, results
// of many sizes, values with several readers, parameters with updates, two inputs and two outputs.
inline Graph RandomMemoryGraph(uint64_t seed, int nodes) {
  RandomStream random(seed, 1);
  uint64_t drawn = 0;
  const auto pick = [&](size_t n) { return random.Below(drawn++, static_cast<uint32_t>(n)); };
  Graph graph;
  GraphBuilder b(&graph);
  std::vector<ValueId> pool = {graph.AddInput("a", {Shape{97}}), graph.AddInput("b", {Shape{53}})};
  while (static_cast<int>(graph.nodes.size()) < nodes) {
    const ValueId x = pool[pick(pool.size())];
    const int64_t n = graph.shape(x)[0];
    ValueId made = kNone;
    switch (pick(6)) {
      case 0:
        made = b.Op(OpKind::kRelu, {x});
        break;
      case 1: {
        const ValueId y = pool[pick(pool.size())];
        if (n + graph.shape(y)[0] > 600) continue;
        made = b.Op(OpKind::kConcat, {x, y}, AxisAttrs{.axis = 0});
        break;
      }
      case 2:
        made = b.Op(OpKind::kSlice, {x}, SliceAttrs{.shape = Shape{1 + n / 2}});
        break;
      case 3:
        made = b.Reshape(b.Reshape(x, Shape{1, n}), Shape{n});
        break;
      case 4:
        made = b.Op(OpKind::kAdd, {x, b.Op(OpKind::kSigmoid, {x})});
        break;
      default: {
        const std::string name = absl::StrCat("w", graph.values.size());
        const ValueId w = graph.AddParam(name, Shape{n}, ParamRole::kWeight, nullptr);
        graph.value(w).trainable = true;
        made = b.Op(OpKind::kMul, {x, w});
        b.set_phase(Phase::kUpdate);
        b.Op(OpKind::kSgd, {w, b.Op(OpKind::kTanh, {x})});
        b.set_phase(Phase::kForward);
      }
    }
    pool.push_back(made);
  }
  PT_CHECK(b.status().ok());
  graph.outputs = {{"first", pool[pool.size() / 2]}, {"last", pool.back()}};
  return graph;
}

// Forward, backward and update of `blocks` blocks conv 1x1 (expand 6) - relu6 - conv 3x3 - relu6 -
// conv 1x1, with a residual where shapes allow. All gradients first, all updates at the end, as
// autodiff leaves them. Every weight learns with momentum.
class TrainingGraph {
 public:
  TrainingGraph(int batch, int resolution, int blocks) : b_(&graph) {
    ValueId x = graph.AddInput("image", {Shape{batch, resolution, resolution, 16}});
    std::vector<ValueId> residual(blocks, kNone);
    for (int i = 0; i < blocks; ++i) {
      const ValueId in = x;
      const int64_t channels = graph.shape(x)[3];
      const bool down = i % 3 == 2;
      x = Conv(x, channels * 6, 1, 1, true);
      x = Conv(x, channels * 6, 3, down ? 2 : 1, true);
      x = Conv(x, down ? channels * 2 : channels, 1, 1, false);
      if (!down) x = b_.Op(OpKind::kAdd, {x, in});
      layers_.back().adds_residual = !down;
    }
    ValueId dy = b_.Op(OpKind::kTanh, {x});
    Backward(dy);
    PT_CHECK(b_.status().ok());
    graph.stage = Stage::kTraining;
  }

  Graph graph;

 private:
  struct Layer {
    ValueId x = kNone, w = kNone, velocity = kNone, activated = kNone;
    ConvAttrs attrs;
    bool adds_residual = false;
  };

  ValueId Conv(ValueId x, int64_t out, int kernel, int stride, bool relu6) {
    const std::string name = absl::StrCat("conv", layers_.size());
    Layer layer;
    layer.x = x;
    const Shape shape{out, kernel, kernel, graph.shape(x)[3]};
    layer.w = graph.AddParam(name, shape, ParamRole::kWeight, nullptr);
    layer.velocity = graph.AddParam(name + ".velocity", shape, ParamRole::kState, nullptr);
    graph.value(layer.w).trainable = graph.value(layer.velocity).trainable = true;
    const int pad = kernel / 2;
    layer.attrs = {.stride = {stride, stride}, .pad = {pad, pad, pad, pad}};
    b_.set_loc(name);
    ValueId y = b_.Op(OpKind::kConv2d, {x, layer.w}, layer.attrs);
    if (relu6) y = b_.Op(OpKind::kRelu6, {y});
    layer.activated = relu6 ? y : kNone;
    layers_.push_back(layer);
    return y;
  }

  void Backward(ValueId dy) {
    std::vector<std::pair<Layer, ValueId>> gradients;
    ValueId branch = kNone;  // gradient that goes round the block
    for (size_t i = layers_.size(); i-- > 0;) {
      const Layer& layer = layers_[i];
      b_.set_loc(graph.value(layer.w).name);
      b_.set_phase(Phase::kBackward);
      if (i % 3 == 2) branch = layer.adds_residual ? dy : kNone;
      if (layer.activated != kNone) dy = b_.Op(OpKind::kRelu6Grad, {dy, layer.activated});
      ConvGradAttrs attrs;
      std::copy(layer.attrs.stride, layer.attrs.stride + 2, attrs.stride);
      std::copy(layer.attrs.pad, layer.attrs.pad + 4, attrs.pad);
      const ValueId old_dy = dy;
      for (int d = 0; d < 2; ++d) {
        attrs.size[d] = static_cast<int32_t>(graph.shape(layer.x)[1 + d]);
      }
      if (i > 0) dy = b_.Op(OpKind::kConv2dGradInput, {old_dy, layer.w}, attrs);
      for (int d = 0; d < 2; ++d) {
        attrs.size[d] = static_cast<int32_t>(graph.shape(layer.w)[1 + d]);
      }
      gradients.push_back({layer, b_.Op(OpKind::kConv2dGradFilter, {old_dy, layer.x}, attrs)});
      if (i % 3 == 0 && i > 0 && branch != kNone) dy = b_.Op(OpKind::kAdd, {dy, branch});
    }
    b_.set_phase(Phase::kUpdate);
    for (const auto& [layer, gradient] : gradients) {
      b_.set_loc(graph.value(layer.w).name);
      b_.Op(OpKind::kMomentum, {layer.w, layer.velocity, gradient});
    }
  }

  GraphBuilder b_;
  std::vector<Layer> layers_;
};

}  // namespace pocketune::testing
