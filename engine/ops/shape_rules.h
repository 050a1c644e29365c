// The shape rules named in ops.def, private to engine/ops: they are called through InferShapes,
// which has checked before that
//   - the number of operands is the row's and `attrs` holds the row's struct, in range by itself
//     (CheckAttrs);
//   - every operand has at most 2^40 elements, every dimension at least one;
//   - all operands are f32 or all are f64, but for labels, which are i32, and masks and packed
//     values, which are u8.
// and checks the results' element counts after.
#pragma once

#include <span>

#include "engine/ops/op_info.h"
#include "engine/ops/slice_index.h"

namespace pocketune {

// Largest number of elements of a tensor: products of two counts and sums of sizes cannot wrap.
inline constexpr int64_t kMaxElements = int64_t{1} << 40;
// Largest stride, dilation, padding and kernel size of a window.
inline constexpr int64_t kMaxWindow = int64_t{1} << 20;

// What an attribute struct can be checked for without its operands.
Status CheckAttrs(const Attrs& attrs);

#define PT_SHAPE_RULE(rule)                                                    \
  Status Infer##rule(std::span<const TensorType> operands, const Attrs& attrs, \
                     std::span<TensorType> results)
PT_SHAPE_RULE(Conv2d);
PT_SHAPE_RULE(DepthwiseConv2d);
PT_SHAPE_RULE(Matmul);
PT_SHAPE_RULE(Conv2dGradInput);
PT_SHAPE_RULE(Conv2dGradFilter);
PT_SHAPE_RULE(DepthwiseConv2dGradInput);
PT_SHAPE_RULE(DepthwiseConv2dGradFilter);
PT_SHAPE_RULE(BatchNorm);
PT_SHAPE_RULE(BatchNormFrozen);
PT_SHAPE_RULE(BatchNormGrad);
PT_SHAPE_RULE(BatchNormFrozenGradInput);
PT_SHAPE_RULE(BatchNormFrozenGradScale);
PT_SHAPE_RULE(BatchNormMoments);
PT_SHAPE_RULE(BatchNormStatistics);
PT_SHAPE_RULE(BatchNormGradParams);
PT_SHAPE_RULE(BatchNormGradInput);
PT_SHAPE_RULE(Pool);
PT_SHAPE_RULE(MaxPoolGrad);
PT_SHAPE_RULE(AvgPoolGrad);
PT_SHAPE_RULE(Same);
PT_SHAPE_RULE(GateMask);
PT_SHAPE_RULE(GateGrad);
PT_SHAPE_RULE(Narrow);
PT_SHAPE_RULE(Widen);
PT_SHAPE_RULE(Broadcast);
PT_SHAPE_RULE(Reduce);
PT_SHAPE_RULE(ReduceMaxGrad);
PT_SHAPE_RULE(Reshape);
PT_SHAPE_RULE(BroadcastTo);
PT_SHAPE_RULE(Fill);
PT_SHAPE_RULE(Transpose);
PT_SHAPE_RULE(Concat);
PT_SHAPE_RULE(Pad);
PT_SHAPE_RULE(Slice);
PT_SHAPE_RULE(Gather);
PT_SHAPE_RULE(SoftmaxCrossEntropy);
PT_SHAPE_RULE(SoftmaxCrossEntropyGrad);
PT_SHAPE_RULE(MeanSquaredError);
PT_SHAPE_RULE(MeanSquaredErrorGrad);
PT_SHAPE_RULE(BatchNormUpdate);
PT_SHAPE_RULE(Sgd);
PT_SHAPE_RULE(Momentum);
PT_SHAPE_RULE(AdamW);

constexpr Status Invalid(const char* message, int64_t detail = 0) {
  return Status(StatusCode::kInvalidArgument, message, static_cast<int32_t>(detail));
}

// The struct that InferShapes has found to be there.
template <class A>
const A& As(const Attrs& attrs) {
  return *std::get_if<A>(&attrs);
}

// May an index number the slices of a dimension of that length?
constexpr Status CheckIndexRange(int64_t slices) {
  if (slices <= kMaxIndexed) return OkStatus();
  return Invalid("index: the dimension is too long to be numbered by floats", slices);
}

// Is `type` a vector [n]?
inline bool IsVector(const TensorType& type, int64_t n) { return type.shape == Shape({n}); }

}  // namespace pocketune
