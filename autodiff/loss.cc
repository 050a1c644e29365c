#include "autodiff/loss.h"

#include "graph/ir/builder.h"

namespace pocketune {
namespace {

absl::StatusOr<ValueId> Attach(Graph& graph, ValueId prediction, OpKind op, const char* truth_name,
                               TensorType truth_type, Attrs attrs) {
  const Shape batch = {graph.shape(prediction)[0]};
  const ValueId truth = graph.AddInput(truth_name, truth_type);
  const ValueId weight = graph.AddInput(kWeightInput, {batch, DType::kF32});
  GraphBuilder builder(&graph);
  builder.set_loc("loss");
  const ValueId loss = builder.Op(op, {prediction, truth, weight}, attrs);
  if (!builder.status().ok()) return builder.status();
  graph.outputs.push_back({kLossOutput, loss});
  return loss;
}

}  // namespace

absl::StatusOr<ValueId> AttachClassificationLoss(Graph& graph, ValueId logits,
                                                 double label_smoothing) {
  return Attach(graph, logits, OpKind::kSoftmaxCrossEntropy, kLabelInput,
                {{graph.shape(logits)[0]}, DType::kI32},
                LossAttrs{.label_smoothing = label_smoothing});
}

absl::StatusOr<ValueId> AttachSquaredLoss(Graph& graph, ValueId prediction) {
  return Attach(graph, prediction, OpKind::kMeanSquaredError, kTargetInput, graph.type(prediction),
                NoAttrs{});
}

}  // namespace pocketune
