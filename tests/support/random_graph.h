// Random valid forward graphs for property tests.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/rng.h"
#include "graph/ir/builder.h"

namespace pocketune::test {

// Data of parameters: uniform in [-1, 1), in [0.25, 1.25) where a variance must be positive.
// Element i is element i of the stream called `name`.
inline HostData RandomData(const std::string& name, int64_t elems, ParamRole role) {
  const RandomStream random(5, name);
  auto data = std::make_shared<std::vector<float>>(static_cast<size_t>(elems));
  for (size_t i = 0; i < data->size(); ++i) {
    const float u = random.Uniform(i);
    (*data)[i] = role == ParamRole::kNormVar ? u + 0.25f : 2 * u - 1;
  }
  return data;
}

// One graph per seed, small enough for finite differences: an input "image" f32[N,H,W,C] (N 2 or
// 3), then `layers` random layers, each of which reads any earlier value, and logits [N,3] as
// output "logits". All parameters have data; about half of them are trainable, and the classifier's
// are. Blocks count up with the layers.
class RandomGraph {
 public:
  explicit RandomGraph(uint64_t seed, int layers = 8) : random_(seed, "graph"), builder_(&graph_) {
    graph_.name = absl::StrCat("random", seed);
    const int64_t batch = 2 + Below(2);
    maps_.push_back(
        graph_.AddInput("image", {{batch, 5 + Below(3), 5 + Below(3), 1 + Below(4)}, DType::kF32}));
    for (block_ = 0; block_ < layers; ++block_) AddLayer();
    AddClassifier();
  }

  // The builder's status is checked by Verify on what comes out of here: a rule that was broken
  // leaves the graph without its output.
  Graph Take() { return std::move(graph_); }
  const absl::Status& status() const { return builder_.status(); }

 private:
  int64_t Below(uint32_t n) { return random_.Below(next_++, n); }
  ValueId AnyMap() { return maps_[Below(static_cast<uint32_t>(maps_.size()))]; }
  Shape shape(ValueId id) const { return graph_.shape(id); }

  ValueId Param(const char* suffix, Shape shape, ParamRole role) {
    const std::string name = absl::StrCat("p", params_++, ".", suffix);
    const ValueId id = graph_.AddParam(name, shape, role, RandomData(name, shape.elems(), role));
    const bool statistic = role == ParamRole::kNormMean || role == ParamRole::kNormVar;
    Value& value = graph_.value(id);
    value.section = block_ == kNone ? Section::kClassifier : Section::kBlock;
    value.block = block_;
    value.trainable = !statistic && (block_ == kNone || Below(2) == 0);
    return id;
  }
  // A vector parameter, absent half of the time.
  ValueId MaybeBias(int64_t channels) {
    return Below(2) == 0 ? kNone : Param("bias", {channels}, ParamRole::kBias);
  }

  void AddLayer() {
    builder_.set_loc(absl::StrCat("layer.", block_));
    const ValueId x = AnyMap();
    ValueId y = kNone;
    switch (Below(10)) {
      case 0:
      case 1:
        y = Activation(Norm(Conv(x)));
        break;
      case 2:
        y = Activation(Norm(Depthwise(x)));
        break;
      case 3:
        y = Activation(Conv(x));
        break;
      case 4:
        y = Activation(x);
        break;
      case 5:
        y = Combine(x);
        break;
      case 6:
        y = Pool(x);
        break;
      case 7:
        y = Layout(x);
        break;
      case 8:
        y = Gate(x);
        break;
      default:
        y = Scalings(x);
        break;
    }
    maps_.push_back(y);
  }

  ValueId Conv(ValueId x) {
    const Shape s = shape(x);
    const int32_t kernel = s[1] >= 3 && s[2] >= 3 && Below(2) == 0 ? 3 : 1;
    const int32_t groups = s[3] % 2 == 0 && Below(3) == 0 ? 2 : 1;
    const int64_t out = groups * (1 + Below(3));
    ConvAttrs attrs{.groups = groups};
    for (int32_t& stride : attrs.stride) stride = static_cast<int32_t>(1 + Below(2));
    for (int32_t& pad : attrs.pad) pad = static_cast<int32_t>(Below(kernel));
    const ValueId w = Param("weight", {out, kernel, kernel, s[3] / groups}, ParamRole::kWeight);
    return builder_.Op(OpKind::kConv2d, {x, w, MaybeBias(out)}, attrs);
  }

  ValueId Depthwise(ValueId x) {
    const int64_t channels = shape(x)[3];
    ConvAttrs attrs;
    for (int32_t& stride : attrs.stride) stride = static_cast<int32_t>(1 + Below(2));
    for (int32_t& pad : attrs.pad) pad = 1;
    const ValueId w = Param("weight", {3, 3, channels}, ParamRole::kWeight);
    return builder_.Op(OpKind::kDepthwiseConv2d, {x, w, MaybeBias(channels)}, attrs);
  }

  ValueId Norm(ValueId x) {
    const Shape c = {shape(x)[-1]};
    const ValueId scale = Param("scale", c, ParamRole::kNormScale);
    const ValueId shift = Param("shift", c, ParamRole::kNormShift);
    const ValueId mean = Param("mean", c, ParamRole::kNormMean);
    const ValueId var = Param("var", c, ParamRole::kNormVar);
    return builder_.Op(OpKind::kBatchNormFrozen, {x, scale, shift, mean, var},
                       NormAttrs{.eps = 1e-3});
  }

  ValueId Activation(ValueId x) {
    constexpr OpKind kActs[] = {OpKind::kRelu,        OpKind::kRelu6, OpKind::kHardSwish,
                                OpKind::kHardSigmoid, OpKind::kSilu,  OpKind::kSigmoid,
                                OpKind::kTanh};
    return builder_.Op(kActs[Below(7)], {x});
  }

  // The sum, the product or the concatenation of x and another value of its shape, itself if there
  // is no other; or its sum with a vector.
  ValueId Combine(ValueId x) {
    const int64_t kind = Below(4);
    if (kind == 0) {
      return builder_.Op(OpKind::kAdd, {x, Param("bias", {shape(x)[3]}, ParamRole::kBias)});
    }
    ValueId other = x;
    for (ValueId id : maps_) {
      if (shape(id) == shape(x) && id != x) other = id;
    }
    if (kind == 1) return builder_.Op(OpKind::kMul, {x, other});
    if (kind == 2) return builder_.Op(OpKind::kConcat, {x, other}, AxisAttrs{.axis = 3});
    return builder_.Op(OpKind::kAdd, {x, other});
  }

  ValueId Pool(ValueId x) {
    const Shape s = shape(x);
    PoolAttrs attrs;
    for (int i = 0; i < 2; ++i) {
      attrs.kernel[i] = static_cast<int32_t>(std::min<int64_t>(s[1 + i], 1 + Below(3)));
      attrs.stride[i] = static_cast<int32_t>(1 + Below(2));
    }
    return builder_.Op(Below(2) == 0 ? OpKind::kMaxPool : OpKind::kAvgPool, {x}, attrs);
  }

  ValueId Layout(ValueId x) {
    const Shape s = shape(x);
    switch (Below(3)) {
      case 0:
        return builder_.Reshape(x, {s[0], s[2], s[1], s[3]});
      case 1:
        return builder_.Op(OpKind::kTranspose, {x}, TransposeAttrs{.perm = {0, 2, 1, 3, 4, 5}});
      default: {
        SliceAttrs attrs{.shape = s};
        attrs.shape[1] = 1 + Below(static_cast<uint32_t>(s[1]));
        attrs.begin[1] = static_cast<int32_t>(s[1] - attrs.shape[1]);
        return builder_.Op(OpKind::kSlice, {x}, attrs);
      }
    }
  }

  // x times a factor per sample and channel, as in squeeze-and-excitation.
  ValueId Gate(ValueId x) {
    const ValueId mean =
        builder_.Op(OpKind::kReduceMean, {x}, ReduceAttrs{.axes = 0b0110, .keep_dims = true});
    return builder_.Op(OpKind::kMul, {x, Activation(Conv1x1(mean, shape(x)[3]))});
  }

  ValueId Conv1x1(ValueId x, int64_t out) {
    const ValueId w = Param("weight", {out, 1, 1, shape(x)[3]}, ParamRole::kWeight);
    return builder_.Op(OpKind::kConv2d, {x, w, MaybeBias(out)}, ConvAttrs{});
  }

  // What canonicalization lives on: chains that do little or nothing.
  ValueId Scalings(ValueId x) {
    const ValueId y = builder_.Affine(builder_.Affine(x, 2.0, 0.25), 0.5, -0.125);
    const ValueId z = builder_.Op(OpKind::kAdd, {y, builder_.Fill({1}, 0.5)});
    return builder_.Op(OpKind::kSub, {z, builder_.Op(OpKind::kMul, {x, builder_.Fill({}, 0.0)})});
  }

  ValueId Linear(ValueId x, int64_t out, ValueId bias) {
    const bool trans_b = Below(2) == 0;
    const int64_t in = shape(x)[1];
    const ValueId w =
        Param("weight", trans_b ? Shape{out, in} : Shape{in, out}, ParamRole::kWeight);
    return builder_.Op(OpKind::kMatmul, {x, w, bias}, MatmulAttrs{.trans_b = trans_b});
  }

  void AddClassifier() {
    builder_.set_loc("classifier");
    ValueId x = builder_.Op(OpKind::kReduceMean, {maps_.back()}, ReduceAttrs{.axes = 0b0110});
    if (Below(2) == 0) x = Activation(Norm(Linear(x, 5, kNone)));
    block_ = kNone;
    const ValueId logits = Linear(x, 3, Param("bias", {3}, ParamRole::kBias));
    if (logits != kNone) graph_.outputs.push_back({"logits", logits, PortRole::kPrediction});
  }

  RandomStream random_;
  uint64_t next_ = 0;
  Graph graph_;
  GraphBuilder builder_;
  std::vector<ValueId> maps_;  // [N,H,W,C] each
  int params_ = 0;
  int block_ = 0;
};

}  // namespace pocketune::test
