// Losses and parameter updates.
#include "engine/ops/shape_rules.h"

namespace pocketune {
namespace {

// logits[N,K] labels[N] weight[N].
Status CheckCrossEntropy(const TensorType& logits, const TensorType& labels,
                         const TensorType& weight) {
  if (logits.shape.rank() != 2) {
    return Invalid("softmax_cross_entropy: logits need 2 dimensions", logits.shape.rank());
  }
  const int64_t samples = logits.shape[0];
  if (!IsVector(labels, samples)) {
    return Invalid("softmax_cross_entropy: labels are not one per sample", samples);
  }
  if (!IsVector(weight, samples)) {
    return Invalid("softmax_cross_entropy: weights are not one per sample", samples);
  }
  return OkStatus();
}

// prediction[N,..] target[N,..] weight[N].
Status CheckSquaredError(const TensorType& prediction, const TensorType& target,
                         const TensorType& weight) {
  if (prediction.shape.rank() < 1) return Invalid("mean_squared_error: prediction is a scalar");
  if (prediction != target) {
    return Invalid("mean_squared_error: prediction and target differ in shape");
  }
  if (!IsVector(weight, prediction.shape[0])) {
    return Invalid("mean_squared_error: weights are not one per sample", prediction.shape[0]);
  }
  return OkStatus();
}

Status CheckScalarGradient(const TensorType& dloss) {
  if (dloss.shape.rank() != 0) return Invalid("loss gradient: dloss is not a scalar");
  return OkStatus();
}

// `part` is `whole` but for one dimension, which is shorter, and `index` numbers its elements.
Status CheckIndexed(const TensorType& whole, const TensorType& part, const TensorType& index) {
  const int axis = IndexedAxis(whole.shape, part.shape);
  if (axis < 0) return Invalid("update: the gradient is no slice of the parameter");
  if (!IsVector(index, part.shape[axis])) {
    return Invalid("update: the index is not one number per slice", part.shape[axis]);
  }
  return CheckIndexRange(whole.shape[axis]);
}

// The parameter, its states and the gradient are of one shape; result i is operand i. An operand
// more is an index: then the states and the gradient are slices of the parameter.
Status Update(std::span<const TensorType> operands, std::span<TensorType> results) {
  const size_t values = results.size();
  if (operands.size() > values + 1) {
    PT_RETURN_IF_ERROR(CheckIndexed(operands[0], operands[values], operands[values + 1]));
  } else if (operands[values] != operands[0]) {
    return Invalid("update: the gradient is not shaped as the parameter", int64_t(values));
  }
  for (size_t i = 1; i < values; ++i) {
    if (operands[i] != operands[values]) {
      return Invalid("update: a state is not shaped as the gradient", int64_t(i));
    }
  }
  for (size_t i = 0; i < values; ++i) results[i] = operands[i];
  return OkStatus();
}

}  // namespace

PT_SHAPE_RULE(SoftmaxCrossEntropy) {
  PT_RETURN_IF_ERROR(CheckCrossEntropy(operands[0], operands[1], operands[2]));
  results[0] = {{}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(SoftmaxCrossEntropyGrad) {
  PT_RETURN_IF_ERROR(CheckScalarGradient(operands[0]));
  PT_RETURN_IF_ERROR(CheckCrossEntropy(operands[1], operands[2], operands[3]));
  results[0] = operands[1];
  return OkStatus();
}

PT_SHAPE_RULE(MeanSquaredError) {
  PT_RETURN_IF_ERROR(CheckSquaredError(operands[0], operands[1], operands[2]));
  results[0] = {{}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(MeanSquaredErrorGrad) {
  PT_RETURN_IF_ERROR(CheckScalarGradient(operands[0]));
  PT_RETURN_IF_ERROR(CheckSquaredError(operands[1], operands[2], operands[3]));
  results[0] = operands[1];
  return OkStatus();
}

// Both running statistics and both of the batch are of one shape.
PT_SHAPE_RULE(BatchNormUpdate) {
  for (size_t i = 1; i < operands.size(); ++i) {
    if (operands[i] != operands[0]) {
      return Invalid("update: operand is not shaped as the parameter", int64_t(i));
    }
  }
  for (TensorType& result : results) result = operands[0];
  return OkStatus();
}

PT_SHAPE_RULE(Sgd) { return Update(operands, results); }
PT_SHAPE_RULE(Momentum) { return Update(operands, results); }
PT_SHAPE_RULE(AdamW) { return Update(operands, results); }

}  // namespace pocketune
