#include "pocketune/model_builder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/math.h"
#include "engine/ops/implied.h"
#include "frontends/builder.h"

namespace pocketune {
namespace {

constexpr OpKind kActivations[] = {OpKind::kReshape,   OpKind::kRelu,        OpKind::kRelu6,
                                   OpKind::kHardSwish, OpKind::kHardSigmoid, OpKind::kSilu,
                                   OpKind::kSigmoid,   OpKind::kTanh};
static_assert(std::size(kActivations) == kActCount &&
                  static_cast<int>(Activation::kTanh) == static_cast<int>(Act::kTanh),
              "Activation lists what operators can apply to their results, Act, in its order");

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

absl::Status Bad(const std::string& where, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
}

HostData DataOf(std::span<const float> values) {
  return std::make_shared<const std::vector<float>>(values.begin(), values.end());
}

// Window sizes and the like, which shape rules take for granted.
absl::Status CheckConv(const ConvLayer& layer, const Shape& x, int64_t out) {
  if (x.rank() != 4) return Bad(layer.name, "a convolution reads [N,H,W,C]");
  if (layer.kernel[0] < 1 || layer.kernel[1] < 1 || layer.stride < 1 || layer.dilation < 1) {
    return Bad(layer.name, "kernel, stride and dilation: want at least 1");
  }
  if (out < 1) return Bad(layer.name, absl::StrCat("out: want at least 1 channel (got ", out, ")"));
  if (layer.groups < 1 || x[3] % layer.groups != 0 || out % layer.groups != 0) {
    return Bad(layer.name, absl::StrCat("groups: want a divisor of both numbers of channels (got ",
                                        layer.groups, ", channels ", x[3], " and ", out, ")"));
  }
  return absl::OkStatus();
}

PoolAttrs WindowOf(int kernel, int stride, int pad) {
  return {.kernel = {kernel, kernel}, .stride = {stride, stride}, .pad = {pad, pad, pad, pad}};
}

}  // namespace

ValueId ModelBuilder::Impl::Param(const std::string& name, const Shape& shape, ParamRole role,
                                  HostData data, ParamLayout layout) {
  if (!builder.status().ok()) return kNone;
  if (graph.FindValue(name, ValueKind::kParam) != kNone) {
    builder.Fail(Bad(name, "there is a parameter of that name already"));
    return kNone;
  }
  const ValueId id = graph.AddParam(name, shape, role, std::move(data), layout);
  graph.value(id).section = section;
  graph.value(id).block = block;
  return id;
}

ValueId ModelBuilder::Impl::Convolve(OpKind op, ValueId x, const ConvLayer& layer,
                                     const Shape& filter) {
  const Shape in = builder.shape(x);
  ConvAttrs attrs;
  for (int i = 0; i < 2; ++i) {
    attrs.stride[i] = layer.stride;
    attrs.dilation[i] = layer.dilation;
    const int reach = (layer.kernel[i] - 1) * layer.dilation + 1;
    PadOf(layer.padding, in[1 + i], reach, layer.stride, &attrs.pad[2 * i], &attrs.pad[2 * i + 1]);
  }
  const bool is_conv = op == OpKind::kConv2d;
  if (is_conv) attrs.groups = layer.groups;
  const ValueId weight = Param(layer.name + ".weight", filter, ParamRole::kWeight, nullptr,
                               is_conv ? ParamLayout::kConv : ParamLayout::kDepthwise);
  const ValueId bias = layer.norm.empty() ? Param(layer.name + ".bias",
                                                  {is_conv ? layer.out : in[3]}, ParamRole::kBias)
                                          : kNone;
  builder.set_loc(layer.name);
  x = builder.Op(op, {x, weight, bias}, attrs);
  return layer.norm.empty() ? Activate(x, layer.act) : Norm(x, layer.norm, layer.act);
}

ValueId ModelBuilder::Impl::Norm(ValueId x, const std::string& name, Activation act) {
  if (!builder.status().ok()) return kNone;
  const Shape c{builder.shape(x)[-1]};
  const ValueId scale = Param(name + ".weight", c, ParamRole::kNormScale);
  const ValueId shift = Param(name + ".bias", c, ParamRole::kNormShift);
  const ValueId mean = Param(name + ".running_mean", c, ParamRole::kNormMean);
  const ValueId var = Param(name + ".running_var", c, ParamRole::kNormVar);
  builder.set_loc(name);
  x = builder.Op(OpKind::kBatchNormFrozen, {x, scale, shift, mean, var},
                 NormAttrs{.eps = norm_eps});
  return Activate(x, act);
}

ValueId ModelBuilder::Impl::Activate(ValueId x, Activation act) {
  return act == Activation::kNone ? x : builder.Op(kActivations[static_cast<int>(act)], {x});
}

void ModelBuilder::Impl::Enter(Section to, int number) {
  section = to;
  block = number;
  has_sections = true;
}

// An error names the layer that the pool stands behind; the node itself has no place.
ValueId ModelBuilder::Impl::Pool(OpKind op, ValueId x, Attrs attrs) {
  const ValueId y = builder.Op(op, {x}, std::move(attrs));
  if (y != kNone) graph.nodes.back().loc.clear();
  builder.set_loc("");
  return y;
}

void ModelBuilder::Impl::SetPrediction(Task of, Tensor value, const LearningPorts& ports) {
  if (has_prediction) builder.Fail(Bad(ports.prediction, "the model learns something already"));
  task = of;
  has_prediction = true;
  loss = LossPortsOf(of, ports);
  AddOutput(ports.prediction, value, PortRole::kPrediction);
}

void ModelBuilder::Impl::AddOutput(const std::string& name, Tensor value, PortRole role) {
  if (value.id < 0 || value.id >= static_cast<ValueId>(graph.values.size())) {
    builder.Fail(Bad(name, "the output is no value of this model"));
    return;
  }
  graph.outputs.push_back({name, value.id, role});
}

void ModelBuilder::Impl::FailHere(const std::string& op, const std::string& what) {
  builder.Fail(Bad(builder.loc().empty() ? op : absl::StrCat(builder.loc(), ": ", op), what));
}

// What the loss adds beside the model's own.
absl::Status ModelBuilder::Impl::CheckPorts() const {
  for (const std::string& name : {loss.label, loss.sample_weight}) {
    if (name.empty() || graph.FindValue(name, ValueKind::kInput) != kNone ||
        loss.label == loss.sample_weight) {
      return Bad(name, "the loss needs an input of a name of its own");
    }
  }
  for (const auto& output : graph.outputs) {
    if (output.name.empty() || output.name == loss.loss) {
      return Bad(output.name, "an output needs a name of its own, which is not the loss's");
    }
  }
  return loss.loss.empty() ? Bad("loss", "it needs a name") : absl::OkStatus();
}

absl::StatusOr<Graph> ModelBuilder::Impl::Take() {
  if (taken) return Bad(graph.name, "the model was built already");
  taken = true;
  if (!builder.status().ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(graph.name, ": ", std::string(builder.status().message())));
  }
  if (!has_prediction) {
    return Bad(graph.name, "the model predicts nothing: call Classify or Reconstruct");
  }
  if (absl::Status status = CheckPorts(); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(graph.name, ": ", std::string(status.message())));
  }
  if (!has_sections) InferSections(graph, graph.FindOutput(PortRole::kPrediction));
  return std::move(graph);
}

LossPorts LossPortsOf(Task task, const LearningPorts& ports) {
  const char* const label = task == Task::kClassification ? "label" : "target";
  return {ports.label.empty() ? label : ports.label, ports.sample_weight, ports.loss};
}

ModelBuilder::ModelBuilder(std::string name, int batch, double norm_eps)
    : impl_(std::make_unique<Impl>(std::move(name), batch, norm_eps)) {
  if (batch < 1) impl_->builder.Fail(Bad("batch", "want at least 1 sample"));
}

ModelBuilder::~ModelBuilder() = default;

Tensor ModelBuilder::Input(const std::string& name, const Shape& shape, DType dtype) {
  GraphBuilder& builder = impl_->builder;
  if (shape.rank() < 1 || shape[0] != impl_->batch) {
    builder.Fail(Bad(name, "the first dimension of an input is the batch"));
  }
  if (std::any_of(shape.dims().begin(), shape.dims().end(), [](int64_t d) { return d < 1; })) {
    builder.Fail(Bad(name, "dimensions: want at least 1 each"));
  }
  if (impl_->graph.FindValue(name, ValueKind::kInput) != kNone) {
    builder.Fail(Bad(name, "there is an input of that name already"));
  }
  if (!builder.status().ok()) return {};
  return {impl_->graph.AddInput(name, {shape, dtype})};
}

Tensor ModelBuilder::Parameter(const std::string& name, const Shape& shape, ParameterKind kind,
                               std::span<const float> values, ParamLayout layout) {
  const bool is_weight = kind == ParameterKind::kWeight;
  if (layout != ParamLayout::kRows && (!is_weight || !Suits(layout, shape.rank()))) {
    impl_->builder.Fail(Bad(name, absl::StrCat("layout: a filter is a weight of ",
                                               layout == ParamLayout::kConv ? "four" : "three",
                                               " dimensions (got ", shape.rank(), ")")));
  }
  if (!values.empty() && static_cast<int64_t>(values.size()) != shape.elems()) {
    impl_->builder.Fail(
        Bad(name, absl::StrCat("values (got ", values.size(), ", want ", shape.elems(), ")")));
  }
  const ParamRole role = is_weight ? ParamRole::kWeight : ParamRole::kBias;
  return {impl_->Param(name, shape, role, values.empty() ? nullptr : DataOf(values), layout)};
}

Tensor ModelBuilder::Constant(const std::string& name, const Shape& shape,
                              std::span<const float> values) {
  if (static_cast<int64_t>(values.size()) != shape.elems()) {
    impl_->builder.Fail(
        Bad(name, absl::StrCat("values (got ", values.size(), ", want ", shape.elems(), ")")));
  }
  if (!impl_->builder.status().ok()) return {};
  return {impl_->graph.AddConst(name, shape, DataOf(values))};
}

Tensor ModelBuilder::Conv(Tensor x, const ConvLayer& layer) {
  GraphBuilder& builder = impl_->builder;
  if (!builder.status().ok()) return {};
  const Shape in = builder.shape(x.id);
  if (absl::Status status = CheckConv(layer, in, layer.out); !status.ok()) {
    builder.Fail(std::move(status));
    return {};
  }
  return {impl_->Convolve(OpKind::kConv2d, x.id, layer,
                          {layer.out, layer.kernel[0], layer.kernel[1], in[3] / layer.groups})};
}

Tensor ModelBuilder::Depthwise(Tensor x, const ConvLayer& layer) {
  GraphBuilder& builder = impl_->builder;
  if (!builder.status().ok()) return {};
  const Shape in = builder.shape(x.id);
  if (absl::Status status = CheckConv(layer, in, 1); !status.ok()) {
    builder.Fail(std::move(status));
    return {};
  }
  return {impl_->Convolve(OpKind::kDepthwiseConv2d, x.id, layer,
                          {layer.kernel[0], layer.kernel[1], in[3]})};
}

Tensor ModelBuilder::Linear(Tensor x, const LinearLayer& layer) {
  GraphBuilder& builder = impl_->builder;
  if (!builder.status().ok()) return {};
  if (builder.shape(x.id).rank() < 2 || layer.out < 1) {
    builder.Fail(Bad(layer.name, "a linear layer reads [N,..,in] and makes at least 1 number"));
    return {};
  }
  const ValueId weight = impl_->Param(layer.name + ".weight", {layer.out, builder.shape(x.id)[-1]},
                                      ParamRole::kWeight);
  const ValueId bias = layer.norm.empty()
                           ? impl_->Param(layer.name + ".bias", {layer.out}, ParamRole::kBias)
                           : kNone;
  builder.set_loc(layer.name);
  const ValueId y = builder.Op(OpKind::kMatmul, {x.id, weight, bias}, MatmulAttrs{.trans_b = true});
  return {layer.norm.empty() ? impl_->Activate(y, layer.act)
                             : impl_->Norm(y, layer.norm, layer.act)};
}

Tensor ModelBuilder::BatchNorm(Tensor x, const std::string& name, Activation act) {
  GraphBuilder& builder = impl_->builder;
  if (builder.status().ok() && builder.shape(x.id).rank() < 2) {
    builder.Fail(Bad(name, "a batch norm reads [N,..,C]"));
  }
  return {impl_->Norm(x.id, name, act)};
}

Tensor ModelBuilder::Activate(Tensor x, Activation act) { return {impl_->Activate(x.id, act)}; }

Tensor ModelBuilder::Dropout(Tensor x, double rate) {
  if (!(rate >= 0 && rate < 1)) impl_->builder.Fail(Bad("dropout", "rate: want 0 to below 1"));
  impl_->builder.set_loc("dropout");
  // Each draws numbers of its own.
  const DropoutAttrs attrs{.rate = rate, .salt = impl_->dropouts++};
  return {impl_->builder.Op(OpKind::kDropout, {x.id}, attrs)};
}

Tensor ModelBuilder::Add(Tensor a, Tensor b) {
  return {impl_->builder.Op(OpKind::kAdd, {a.id, b.id})};
}
Tensor ModelBuilder::Subtract(Tensor a, Tensor b) {
  return {impl_->builder.Op(OpKind::kSub, {a.id, b.id})};
}
Tensor ModelBuilder::Multiply(Tensor a, Tensor b) {
  return {impl_->builder.Op(OpKind::kMul, {a.id, b.id})};
}
Tensor ModelBuilder::MatMul(Tensor a, Tensor b, bool transpose_b) {
  return {impl_->builder.Op(OpKind::kMatmul, {a.id, b.id}, MatmulAttrs{.trans_b = transpose_b})};
}
Tensor ModelBuilder::Scale(Tensor x, double factor, double offset) {
  return {impl_->builder.Affine(x.id, factor, offset)};
}
Tensor ModelBuilder::Softmax(Tensor x) { return {impl_->builder.Op(OpKind::kSoftmax, {x.id})}; }

Tensor ModelBuilder::MaxPool(Tensor x, int kernel, int stride, int pad) {
  return {impl_->Pool(OpKind::kMaxPool, x.id, WindowOf(kernel, stride, pad))};
}

Tensor ModelBuilder::AveragePool(Tensor x, int kernel, int stride, int pad) {
  return {impl_->Pool(OpKind::kAvgPool, x.id, WindowOf(kernel, stride, pad))};
}

Tensor ModelBuilder::GlobalAveragePool(Tensor x) {
  impl_->builder.set_loc("pool");
  return {impl_->builder.Op(OpKind::kReduceMean, {x.id}, ReduceAttrs{.axes = 0b110})};
}

Tensor ModelBuilder::Mean(Tensor x, int axis) {
  if (axis < 1 || axis >= std::max(2, shape(x).rank())) {
    impl_->FailHere("mean", absl::StrCat("axis: want one behind the batch (got ", axis, ")"));
    return {};
  }
  return {impl_->builder.Op(OpKind::kReduceMean, {x.id}, ReduceAttrs{.axes = 1u << axis})};
}

Tensor ModelBuilder::Flatten(Tensor x) {
  const Shape in = shape(x);
  if (in.rank() < 2) return x;
  return Reshape(x, Shape{in[0], in.elems() / in[0]});
}

Tensor ModelBuilder::Reshape(Tensor x, const Shape& shape) {
  return {impl_->builder.Reshape(x.id, shape)};
}

Tensor ModelBuilder::Transpose(Tensor x, const std::vector<int>& permutation) {
  TransposeAttrs attrs;
  for (size_t i = 0; i < std::min<size_t>(permutation.size(), Shape::kMaxRank); ++i) {
    attrs.perm[i] = permutation[i];
  }
  if (static_cast<int>(permutation.size()) != shape(x).rank()) {
    impl_->FailHere("transpose", "want a number for each dimension");
  }
  return {impl_->builder.Op(OpKind::kTranspose, {x.id}, attrs)};
}

Tensor ModelBuilder::Concat(const std::vector<Tensor>& parts, int axis) {
  std::vector<ValueId> ids;
  for (const Tensor& part : parts) ids.push_back(part.id);
  if (parts.empty()) {
    impl_->FailHere("concat", "want at least one part");
    return {};
  }
  const int rank = shape(parts[0]).rank();
  return {impl_->builder.Op(OpKind::kConcat, std::move(ids),
                            AxisAttrs{.axis = axis < 0 ? axis + rank : axis})};
}

void ModelBuilder::EnterStem() { impl_->Enter(Section::kStem); }
void ModelBuilder::NextBlock() { impl_->Enter(Section::kBlock, impl_->next_block++); }
void ModelBuilder::EnterTail() { impl_->Enter(Section::kTail); }
void ModelBuilder::EnterClassifier() { impl_->Enter(Section::kClassifier); }
void ModelBuilder::At(const std::string& place) { impl_->builder.set_loc(place); }

const Shape& ModelBuilder::shape(Tensor x) const { return impl_->builder.shape(x.id); }

void ModelBuilder::Classify(Tensor logits, const LearningPorts& ports) {
  impl_->SetPrediction(Task::kClassification, logits, ports);
}
void ModelBuilder::Reconstruct(Tensor prediction, const LearningPorts& ports) {
  impl_->SetPrediction(Task::kReconstruction, prediction, ports);
}
void ModelBuilder::Output(const std::string& name, Tensor value) {
  impl_->AddOutput(name, value, PortRole::kOther);
}

}  // namespace pocketune
