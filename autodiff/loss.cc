#include "autodiff/loss.h"

#include "graph/ir/builder.h"

namespace pocketune {
namespace {

// Rows [begin, begin + count) of x.
ValueId Rows(GraphBuilder& builder, ValueId x, int64_t begin, int64_t count) {
  SliceAttrs attrs{.shape = builder.shape(x)};
  attrs.begin[0] = static_cast<int32_t>(begin);
  attrs.shape[0] = count;
  return builder.Op(OpKind::kSlice, {x}, attrs);
}

ValueId Sum(GraphBuilder& builder, ValueId vector) {
  return builder.Op(OpKind::kReduceSum, {vector}, ReduceAttrs{.axes = 1});
}

// The mean of the slices' losses, each by its share of the weights' sum.
ValueId SlicedLoss(GraphBuilder& builder, const std::vector<ValueId>& predictions, OpKind op,
                   ValueId truth, ValueId weight, const Attrs& attrs) {
  constexpr double kTiny = 1e-30;  // for a batch of padding alone
  constexpr double kHuge = 1e30;
  const ValueId all =
      builder.Op(OpKind::kClamp, {Sum(builder, weight)}, ClampAttrs{.lo = kTiny, .hi = kHuge});
  ValueId loss = kNone;
  int64_t begin = 0;
  for (ValueId prediction : predictions) {
    const int64_t count = builder.shape(prediction)[0];
    const ValueId weights = Rows(builder, weight, begin, count);
    const ValueId mean =
        builder.Op(op, {prediction, Rows(builder, truth, begin, count), weights}, attrs);
    const ValueId share = builder.Op(OpKind::kDiv, {Sum(builder, weights), all});
    const ValueId part = builder.Op(OpKind::kMul, {mean, share});
    loss = loss == kNone ? part : builder.Op(OpKind::kAdd, {loss, part});
    begin += count;
  }
  return loss;
}

// `truth_type`: of one slice.
absl::StatusOr<ValueId> Attach(Graph& graph, const std::vector<ValueId>& predictions, OpKind op,
                               const LossPorts& ports, TensorType truth_type, const Attrs& attrs) {
  truth_type.shape[0] *= static_cast<int64_t>(predictions.size());
  const ValueId truth = graph.AddInput(ports.label, truth_type, PortRole::kLabel);
  const ValueId weight = graph.AddInput(ports.sample_weight, {{truth_type.shape[0]}, DType::kF32},
                                        PortRole::kSampleWeight);
  GraphBuilder builder(&graph);
  builder.set_loc("loss");
  const ValueId loss = predictions.size() == 1
                           ? builder.Op(op, {predictions[0], truth, weight}, attrs)
                           : SlicedLoss(builder, predictions, op, truth, weight, attrs);
  if (!builder.status().ok()) return builder.status();
  graph.outputs.push_back({ports.loss, loss, PortRole::kLoss});
  return loss;
}

}  // namespace

absl::StatusOr<ValueId> AttachClassificationLoss(Graph& graph, const std::vector<ValueId>& logits,
                                                 double label_smoothing, const LossPorts& ports) {
  return Attach(graph, logits, OpKind::kSoftmaxCrossEntropy, ports,
                {{graph.shape(logits[0])[0]}, DType::kI32},
                LossAttrs{.label_smoothing = label_smoothing});
}

absl::StatusOr<ValueId> AttachClassificationLoss(Graph& graph, ValueId logits,
                                                 double label_smoothing, const LossPorts& ports) {
  return AttachClassificationLoss(graph, std::vector<ValueId>{logits}, label_smoothing, ports);
}

absl::StatusOr<ValueId> AttachSquaredLoss(Graph& graph, const std::vector<ValueId>& predictions,
                                          const LossPorts& ports) {
  return Attach(graph, predictions, OpKind::kMeanSquaredError, ports, graph.type(predictions[0]),
                NoAttrs{});
}

absl::StatusOr<ValueId> AttachSquaredLoss(Graph& graph, ValueId prediction,
                                          const LossPorts& ports) {
  return AttachSquaredLoss(graph, std::vector<ValueId>{prediction}, ports);
}

}  // namespace pocketune
