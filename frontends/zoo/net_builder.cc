#include "frontends/zoo/net_builder.h"

#include <algorithm>
#include <utility>

#include "engine/base/math.h"

namespace pocketune {
namespace {

OpKind OpOf(Act act) {
  static constexpr OpKind kOps[] = {OpKind::kReshape,   OpKind::kRelu,        OpKind::kRelu6,
                                    OpKind::kHardSwish, OpKind::kHardSigmoid, OpKind::kSilu,
                                    OpKind::kSigmoid,   OpKind::kTanh};
  static_assert(std::size(kOps) == kActCount);
  return kOps[static_cast<int>(act)];
}

// Elements before and after one dimension.
void PadOf(Padding padding, int64_t in, int kernel, int stride, int32_t* before, int32_t* after) {
  *before = *after = 0;
  if (padding == Padding::kHalf) {
    *before = *after = kernel / 2;
  } else if (padding == Padding::kSame) {
    const int64_t total = std::max<int64_t>((CeilDiv(in, stride) - 1) * stride + kernel - in, 0);
    *before = static_cast<int32_t>(total / 2);
    *after = static_cast<int32_t>(total - total / 2);
  }
}

}  // namespace

int64_t MakeDivisible(double v, int64_t divisor) {
  int64_t rounded = std::max(divisor, static_cast<int64_t>(v + divisor / 2.0) / divisor * divisor);
  if (static_cast<double>(rounded) < 0.9 * v) rounded += divisor;
  return rounded;
}

NetBuilder::NetBuilder(const ModelSpec& spec, double norm_eps)
    : spec_(spec), norm_eps_(norm_eps), builder_(&graph_) {
  graph_.name = spec.name;
}

void NetBuilder::Enter(Section section, int block) {
  section_ = section;
  block_ = block;
}

ValueId NetBuilder::Param(const std::string& name, Shape shape, ParamRole role) {
  const ValueId id = graph_.AddParam(name, shape, role, nullptr);
  graph_.value(id).section = section_;
  graph_.value(id).block = block_;
  return id;
}

ValueId NetBuilder::Image(int64_t height, int64_t width, int64_t channels) {
  return graph_.AddInput("image", {Shape{spec_.batch, height, width, channels}, DType::kF32});
}

ValueId NetBuilder::Norm(ValueId x, const std::string& name, Act act) {
  const Shape c{channels(x)};
  const ValueId scale = Param(name + ".weight", c, ParamRole::kNormScale);
  const ValueId shift = Param(name + ".bias", c, ParamRole::kNormShift);
  const ValueId mean = Param(name + ".running_mean", c, ParamRole::kNormMean);
  const ValueId var = Param(name + ".running_var", c, ParamRole::kNormVar);
  builder_.set_loc(name);
  x = builder_.Op(OpKind::kBatchNormFrozen, {x, scale, shift, mean, var},
                  NormAttrs{.eps = norm_eps_});
  return Activation(x, act);
}

ValueId NetBuilder::ConvOp(OpKind op, ValueId x, const ConvLayer& layer, Shape filter,
                           int64_t out) {
  const Shape in = builder_.shape(x);
  if (in.rank() != 4) return kNone;  // an earlier error sticks
  ConvAttrs attrs;
  for (int i = 0; i < 2; ++i) {
    attrs.stride[i] = layer.stride;
    PadOf(layer.padding, in[1 + i], layer.kernel[i], layer.stride, &attrs.pad[2 * i],
          &attrs.pad[2 * i + 1]);
  }
  const bool normed = !layer.norm.empty() && !spec_.folded_norm;
  const ValueId weight = Param(layer.name + ".weight", filter, ParamRole::kWeight);
  const ValueId bias = normed ? kNone : Param(layer.name + ".bias", Shape{out}, ParamRole::kBias);
  builder_.set_loc(layer.name);
  x = builder_.Op(op, {x, weight, bias}, attrs);
  return normed ? Norm(x, layer.norm, layer.act) : Activation(x, layer.act);
}

ValueId NetBuilder::Conv(ValueId x, const ConvLayer& layer) {
  const Shape filter{layer.out, layer.kernel[0], layer.kernel[1], x == kNone ? 1 : channels(x)};
  return ConvOp(OpKind::kConv2d, x, layer, filter, layer.out);
}

ValueId NetBuilder::Depthwise(ValueId x, const ConvLayer& layer) {
  const int64_t c = x == kNone ? 1 : channels(x);
  return ConvOp(OpKind::kDepthwiseConv2d, x, layer, Shape{layer.kernel[0], layer.kernel[1], c}, c);
}

ValueId NetBuilder::Linear(ValueId x, const std::string& name, int64_t out, const std::string& norm,
                           Act act) {
  if (x == kNone) return kNone;
  const bool normed = !norm.empty() && !spec_.folded_norm;
  const ValueId weight = Param(name + ".weight", Shape{out, channels(x)}, ParamRole::kWeight);
  const ValueId bias = normed ? kNone : Param(name + ".bias", Shape{out}, ParamRole::kBias);
  builder_.set_loc(name);
  x = builder_.Op(OpKind::kMatmul, {x, weight, bias}, MatmulAttrs{.trans_b = true});
  return normed ? Norm(x, norm, act) : Activation(x, act);
}

ValueId NetBuilder::Activation(ValueId x, Act act) {
  return act == Act::kNone ? x : builder_.Op(OpOf(act), {x});
}

ValueId NetBuilder::MaxPool(ValueId x, int kernel, int stride, int pad) {
  builder_.set_loc("");
  return builder_.Op(
      OpKind::kMaxPool, {x},
      PoolAttrs{
          .kernel = {kernel, kernel}, .stride = {stride, stride}, .pad = {pad, pad, pad, pad}});
}

ValueId NetBuilder::GlobalAveragePool(ValueId x) {
  builder_.set_loc("pool");
  return builder_.Op(OpKind::kReduceMean, {x}, ReduceAttrs{.axes = 0b110});
}

ValueId NetBuilder::Flatten(ValueId x) {
  const Shape in = builder_.shape(x);
  if (in.rank() < 2) return kNone;
  return builder_.Reshape(x, Shape{in[0], in.elems() / in[0]});
}

ValueId NetBuilder::Classifier(ValueId x, const std::string& name) {
  Enter(Section::kClassifier);
  if (spec_.dropout > 0) {
    builder_.set_loc("dropout");
    x = builder_.Op(OpKind::kDropout, {x}, DropoutAttrs{.rate = spec_.dropout});
  }
  return Linear(x, name, spec_.classes);
}

absl::StatusOr<Graph> NetBuilder::Finish(ValueId logits) {
  if (!builder_.status().ok()) {
    return absl::InvalidArgumentError(spec_.name + ": " + std::string(builder_.status().message()));
  }
  if (logits == kNone) return absl::InternalError(spec_.name + ": the model has no output");
  graph_.outputs.push_back({"logits", logits});
  return std::move(graph_);
}

}  // namespace pocketune
