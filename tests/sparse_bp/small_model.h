// A model in small with everything that schemes speak of: stem, three inverted residual blocks,
// tail and classifier, with frozen or batch statistics.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/loss.h"
#include "engine/base/rng.h"
#include "graph/ir/builder.h"

namespace pocketune::test {

class SmallModel {
 public:
  static constexpr int kBatch = 2;
  static constexpr int kBlocks = 3;
  static constexpr int kClasses = 5;

  // The forward graph and its loss (output "loss").
  static Graph Build(bool batch_statistics) {
    SmallModel model(batch_statistics);
    model.BuildAll();
    return std::move(model.graph_);
  }

 private:
  explicit SmallModel(bool batch_statistics)
      : batch_statistics_(batch_statistics), builder_(&graph_) {}

  void BuildAll() {
    ValueId x = graph_.AddInput("image", {{kBatch, 7, 7, 3}, DType::kF32});
    x = Op(OpKind::kRelu6, Norm(Conv(x, "stem", 5, 3), "stem.bn"));
    for (block_ = 0; block_ < kBlocks; ++block_) {
      section_ = Section::kBlock;
      const std::string name = "blocks." + std::to_string(block_);
      ValueId h = Op(OpKind::kRelu6, Norm(Conv(x, name + ".expand", 7, 1), name + ".expand.bn"));
      h = Op(OpKind::kHardSwish, Norm(Depthwise(h, name + ".dw"), name + ".dw.bn"));
      h = Norm(Conv(h, name + ".project", 5, 1), name + ".project.bn");
      x = builder_.Op(OpKind::kAdd, {x, h});
    }
    section_ = Section::kTail;
    block_ = kNone;
    x = Op(OpKind::kRelu, Norm(Conv(x, "tail", 11, 1), "tail.bn"));
    x = builder_.Op(OpKind::kReduceMean, {x}, ReduceAttrs{.axes = 6});
    section_ = Section::kClassifier;
    const ValueId weight = Param("classifier.weight", {kClasses, 11}, ParamRole::kWeight);
    const ValueId bias = Param("classifier.bias", {kClasses}, ParamRole::kBias);
    const ValueId logits =
        builder_.Op(OpKind::kMatmul, {x, weight, bias}, MatmulAttrs{.trans_b = true});
    graph_.outputs.push_back({"logits", logits});
    (void)AttachClassificationLoss(graph_, logits, 0.0).value();
  }

  ValueId Param(const std::string& name, Shape shape, ParamRole role) {
    const RandomStream random(1, name);
    const bool positive = role == ParamRole::kNormScale || role == ParamRole::kNormVar;
    std::vector<float> data(shape.elems());
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = random.Uniform(i) - (positive ? -0.5f : 0.5f);
    }
    const ValueId id = graph_.AddParam(name, shape, role,
                                       std::make_shared<const std::vector<float>>(std::move(data)));
    graph_.value(id).section = section_;
    graph_.value(id).block = block_;
    return id;
  }

  ValueId Op(OpKind op, ValueId x) { return builder_.Op(op, {x}); }

  ValueId Conv(ValueId x, const std::string& name, int64_t out, int64_t kernel) {
    const int64_t in = builder_.shape(x)[3];
    const ValueId w = Param(name + ".weight", {out, kernel, kernel, in}, ParamRole::kWeight);
    return builder_.Op(OpKind::kConv2d, {x, w});
  }

  ValueId Depthwise(ValueId x, const std::string& name) {
    const ValueId w = Param(name + ".weight", {3, 3, builder_.shape(x)[3]}, ParamRole::kWeight);
    return builder_.Op(OpKind::kDepthwiseConv2d, {x, w}, ConvAttrs{.pad = {1, 1, 1, 1}});
  }

  ValueId Norm(ValueId x, const std::string& name) {
    const Shape channels = {builder_.shape(x)[3]};
    const ValueId scale = Param(name + ".weight", channels, ParamRole::kNormScale);
    const ValueId shift = Param(name + ".bias", channels, ParamRole::kNormShift);
    if (batch_statistics_) return builder_.Op(OpKind::kBatchNorm, {x, scale, shift});
    const ValueId mean = Param(name + ".running_mean", channels, ParamRole::kNormMean);
    const ValueId var = Param(name + ".running_var", channels, ParamRole::kNormVar);
    return builder_.Op(OpKind::kBatchNormFrozen, {x, scale, shift, mean, var});
  }

  bool batch_statistics_;
  Graph graph_;
  GraphBuilder builder_;
  Section section_ = Section::kStem;
  int block_ = kNone;
};

}  // namespace pocketune::test
