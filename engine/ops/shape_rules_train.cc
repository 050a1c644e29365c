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

// Every operand is shaped as operand 0; result i is operand i.
Status Update(std::span<const TensorType> operands, std::span<TensorType> results) {
  for (size_t i = 1; i < operands.size(); ++i) {
    if (operands[i] != operands[0]) {
      return Invalid("update: operand is not shaped as the parameter", int64_t(i));
    }
  }
  for (TensorType& result : results) result = operands[0];
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

PT_SHAPE_RULE(Update1) { return Update(operands, results); }
PT_SHAPE_RULE(Update2) { return Update(operands, results); }
PT_SHAPE_RULE(Update3) { return Update(operands, results); }

}  // namespace pocketune
