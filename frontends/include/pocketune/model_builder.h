// Models of your own: a forward pass written layer by layer.
//
//   ModelBuilder net("digits", /*batch=*/8);
//   Tensor x = net.Input("image", {8, 28, 28, 1});
//   x = net.Conv(x, {.name = "stem", .out = 16, .kernel = {3, 3}, .act = Activation::kRelu});
//   net.NextBlock();
//   ...
//   net.Classify(net.Linear(net.GlobalAveragePool(x), {.name = "classifier", .out = 10}));
//   Outcome<Model> model = net.Build(/*seed=*/1);   // then Compile of compiler.h
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pocketune/model.h"
#include "pocketune/outcome.h"
#include "pocketune/types.h"
#include "pocketune/weights.h"

namespace pocketune {

// A value of a model that is being built. It belongs to its builder, and means nothing to another.
struct Tensor {
  int32_t id = -1;  // -1 after an error
};

// What a layer applies to its result.
enum class Activation : uint8_t {
  kNone,
  kRelu,
  kRelu6,
  kHardSwish,
  kHardSigmoid,
  kSilu,
  kSigmoid,
  kTanh
};

// How a window meets the border: PyTorch's k / 2 on all sides, TensorFlow's SAME (the odd element
// goes to the bottom and right), or none.
enum class Padding : uint8_t { kHalf, kSame, kValid };

// What a parameter is, which decides its first values, whether weight decay shrinks it and which
// update schemes take it along.
enum class ParameterKind : uint8_t { kWeight, kBias };

// What the inputs and outputs that belong to learning are called.
struct LearningPorts {
  std::string prediction = "logits";     // output of the role kPrediction
  std::string label = {};                // input; empty: "label" of classes, "target" of values
  std::string sample_weight = "weight";  // input: 1 for a sample, 0 for a place that stays empty
  std::string loss = "loss";             // output
};

// A convolution over height and width. Its parameters are "<name>.weight" and, where no batch norm
// follows, "<name>.bias".
struct ConvLayer {
  std::string name;       // the module's path, e.g. "blocks.3.expand"
  std::string norm = {};  // path of the batch norm behind it; empty: none
  int64_t out = 0;        // channels; a depthwise convolution has as many as its input
  int kernel[2] = {1, 1};
  int stride = 1;
  Padding padding = Padding::kHalf;
  int dilation = 1;
  int groups = 1;  // of channels that see each other alone; divides both numbers of channels
  Activation act = Activation::kNone;
};

// A linear layer over the last dimension. Its parameters are named as a convolution's.
struct LinearLayer {
  std::string name;
  int64_t out = 0;
  std::string norm = {};  // path of the batch norm behind it; empty: none, and there is a bias
  Activation act = Activation::kNone;
};

// Writes a model. The first error sticks: later calls do nothing, and Build says what it was, with
// the layer's name; so a whole model is written without a check a line. Pictures and feature maps
// are [N,H,W,C], all else has the batch in front: [N,..]. Shapes are static. Not thread-safe.
//
// Which parameters an update scheme means is told by sections: the stem, blocks numbered from 0,
// the tail between the last block and the classifier, and the classifier. Either say where each
// begins (NextBlock and the others), or say nothing: then Build takes them from the modules' paths.
// The layer that makes the prediction is the classifier; a path that has a number in it belongs to
// the block of the path up to its first number ("features.4.conv.0" to "features.4"); what has none
// is the stem before the first block and the tail behind it.
class ModelBuilder {
 public:
  // `batch`: samples of a training step, >= 1. `norm_eps` is added to variances by batch norms.
  ModelBuilder(std::string name, int batch, double norm_eps = 1e-5);
  ~ModelBuilder();
  ModelBuilder(const ModelBuilder&) = delete;
  ModelBuilder& operator=(const ModelBuilder&) = delete;

  // What Session::Bind binds under this name, of the role kData. The first dimension is the batch.
  Tensor Input(const std::string& name, const Shape& shape, DType dtype = DType::kF32);
  // A parameter for layers of your own: weights start as N(0, 2 / fan_in), biases as zeros, or from
  // `values`, of which there are as many as elements, in row order; outputs are the first
  // dimension. Using it in several places ties these. Of any rank. Files of weights have it as it
  // is here, unless `layout` says that it is a filter (types.h), whose rank and kind must be a
  // filter's then.
  Tensor Parameter(const std::string& name, const Shape& shape,
                   ParameterKind kind = ParameterKind::kWeight, std::span<const float> values = {},
                   ParamLayout layout = ParamLayout::kRows);
  // A number or table that never learns.
  Tensor Constant(const std::string& name, const Shape& shape, std::span<const float> values);

  Tensor Conv(Tensor x, const ConvLayer& layer);
  Tensor Depthwise(Tensor x, const ConvLayer& layer);
  Tensor Linear(Tensor x, const LinearLayer& layer);
  // Over all but the last dimension: "<name>.weight", ".bias", ".running_mean", ".running_var".
  Tensor BatchNorm(Tensor x, const std::string& name, Activation act = Activation::kNone);
  Tensor Activate(Tensor x, Activation act);
  // In training alone; `rate` of the elements, in [0, 1).
  Tensor Dropout(Tensor x, double rate);

  // Arithmetic, broadcast as NumPy does.
  Tensor Add(Tensor a, Tensor b);
  Tensor Subtract(Tensor a, Tensor b);
  Tensor Multiply(Tensor a, Tensor b);
  // a [..,M,K] times b [..,K,N] or [K,N]; `transpose_b`: b is [..,N,K] or [N,K].
  Tensor MatMul(Tensor a, Tensor b, bool transpose_b = false);
  Tensor Scale(Tensor x, double factor, double offset = 0.0);  // factor * x + offset
  Tensor Softmax(Tensor x);                                    // over the last dimension

  Tensor MaxPool(Tensor x, int kernel, int stride, int pad = 0);
  Tensor AveragePool(Tensor x, int kernel, int stride, int pad = 0);  // padding does not count
  Tensor GlobalAveragePool(Tensor x);                                 // [N,H,W,C] -> [N,C]
  Tensor Mean(Tensor x, int axis);                                    // the axis goes; from 1 on

  Tensor Flatten(Tensor x);  // [N,..] -> [N,rest]
  Tensor Reshape(Tensor x, const Shape& shape);
  Tensor Transpose(Tensor x, const std::vector<int>& permutation);  // result's i is x's [i]-th
  Tensor Concat(const std::vector<Tensor>& parts, int axis);  // up to 8; negative: from the end

  // Where the parameters made from here on belong (see above).
  void EnterStem();
  void NextBlock();
  void EnterTail();
  void EnterClassifier();
  // What messages, profiles and `inspect` call the operators made from here on, until a layer with
  // a name says its own. Errors of Build begin with it.
  void At(const std::string& place);

  const Shape& shape(Tensor x) const;  // a scalar's after an error

  // How the model learns: cross-entropy of logits [N,classes] against labels i32[N], or the mean
  // squared error against labels that have the prediction's shape. One of the two, once. The loss
  // adds the inputs and the output that `ports` name to plans of the model.
  void Classify(Tensor logits, const LearningPorts& ports = {});
  void Reconstruct(Tensor prediction, const LearningPorts& ports = {});
  // More that Session::Predict computes, of the role kOther.
  void Output(const std::string& name, Tensor value);

  // The model, and the end of this builder: what is called afterwards is an error of the next
  // Build. Parameters get their values from `weights` (a safetensors file under their names, in
  // PyTorch's layouts; empty: none), then from what they were made with, then from `seed`. `report`
  // may be null. Errors: INVALID_ARGUMENT for what was built wrongly or weights that do not fit;
  // NOT_FOUND or UNAVAILABLE for the file.
  Outcome<Model> Build(uint64_t seed, const std::string& weights = "",
                       WeightsReport* report = nullptr);

  // The compile side's view of it: frontends/builder.h.
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace pocketune
