// Layers with their parameters: what the zoo's models are written in.
#pragma once

#include <string>
#include <vector>

#include "frontends/zoo/zoo.h"
#include "graph/ir/builder.h"

namespace pocketune {

// How a window meets the border: PyTorch's k / 2 on all sides, TensorFlow's SAME (the odd element
// goes to the bottom and right), or none.
enum class Padding : uint8_t { kHalf, kSame, kValid };

struct ConvLayer {
  std::string name;       // of the convolution: "<name>.weight", "<name>.bias"
  std::string norm = {};  // of its batch norm; empty: none, and the convolution has a bias
  int64_t out = 0;        // channels; ignored by depthwise
  int kernel[2] = {1, 1};
  int stride = 1;
  Padding padding = Padding::kHalf;
  Act act = Act::kNone;
};

// Writes a model layer by layer. Errors stick, as in GraphBuilder.
class NetBuilder {
 public:
  NetBuilder(const ModelSpec& spec, double norm_eps);

  // Parameters made from here on belong to this section (block: 0-based, of kBlock).
  void Enter(Section section, int block = kNone);
  // Enters the next block.
  void NextBlock() { Enter(Section::kBlock, next_block_++); }

  ValueId Image(int64_t height, int64_t width, int64_t channels);
  // [N,H,W,C] -> [N,OH,OW,out]
  ValueId Conv(ValueId x, const ConvLayer& layer);
  ValueId Depthwise(ValueId x, const ConvLayer& layer);
  // [N,in] -> [N,out]; with `norm` a batch norm follows and there is no bias.
  ValueId Linear(ValueId x, const std::string& name, int64_t out, const std::string& norm = "",
                 Act act = Act::kNone);
  ValueId Activation(ValueId x, Act act);
  ValueId Add(ValueId a, ValueId b) { return builder_.Op(OpKind::kAdd, {a, b}); }
  ValueId MaxPool(ValueId x, int kernel, int stride, int pad = 0);
  // Mean over height and width: [N,H,W,C] -> [N,C].
  ValueId GlobalAveragePool(ValueId x);
  ValueId Flatten(ValueId x);
  // Dropout of the spec's rate, then the linear layer of the section kClassifier.
  ValueId Classifier(ValueId x, const std::string& name);
  int64_t channels(ValueId x) const { return builder_.shape(x)[-1]; }

  // Makes `logits` the output and gives the graph away.
  absl::StatusOr<Graph> Finish(ValueId logits);

 private:
  ValueId Param(const std::string& name, Shape shape, ParamRole role);
  ValueId Norm(ValueId x, const std::string& name, Act act);
  ValueId ConvOp(OpKind op, ValueId x, const ConvLayer& layer, Shape filter, int64_t out);

  ModelSpec spec_;
  double norm_eps_;
  Graph graph_;
  GraphBuilder builder_;
  Section section_ = Section::kStem;
  int block_ = kNone;
  int next_block_ = 0;
};

// Nearest multiple of `divisor`, at least it, and not below 90 % of v (MobileNetV2's rule).
int64_t MakeDivisible(double v, int64_t divisor = 8);

}  // namespace pocketune
