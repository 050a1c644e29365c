// Convolutions, matrix products, normalization and pooling.
#include "engine/base/math.h"
#include "engine/ops/shape_rules.h"

namespace pocketune {
namespace {

// Windows along one dimension: floor((in + pads - dilation (kernel - 1) - 1) / stride) + 1, below 1
// where the kernel does not fit. All arguments are at most 2^40, kernel and attributes 2^20.
int64_t Windows(int64_t in, int64_t kernel, int64_t stride, int64_t pads, int64_t dilation) {
  const int64_t room = in + pads - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

// The result of the convolution `a` of height and width `in` with a kernel of `kernel`.
template <class A>
Status ConvSpatial(const A& a, const int64_t (&in)[2], const int64_t (&kernel)[2],
                   int64_t (&out)[2]) {
  for (int i = 0; i < 2; ++i) {
    if (kernel[i] < 1 || kernel[i] > kMaxWindow) {
      return Invalid("convolution: kernel size is out of range", kernel[i]);
    }
    const int64_t pads = int64_t{a.pad[2 * i]} + a.pad[2 * i + 1];
    out[i] = Windows(in[i], kernel[i], a.stride[i], pads, a.dilation[i]);
    if (out[i] < 1) {
      return Invalid("convolution: kernel does not fit into the padded input", in[i]);
    }
  }
  return OkStatus();
}

// Checks that the forward convolution would make the gradient's height and width.
Status CheckGradSpatial(const ConvGradAttrs& a, const int64_t (&in)[2], const int64_t (&kernel)[2],
                        const Shape& dy) {
  int64_t out[2];
  PT_RETURN_IF_ERROR(ConvSpatial(a, in, kernel, out));
  for (int i = 0; i < 2; ++i) {
    if (dy[1 + i] != out[i]) {
      return Invalid("convolution gradient: dy has not the size that the convolution gives",
                     dy[1 + i]);
    }
  }
  return OkStatus();
}

Status CheckGroups(int64_t channels, int64_t outputs, int32_t groups) {
  if (channels % groups != 0)
    return Invalid("conv2d: groups do not divide the input channels", groups);
  if (outputs % groups != 0)
    return Invalid("conv2d: groups do not divide the output channels", groups);
  return OkStatus();
}

Status CheckBias(std::span<const TensorType> operands, int64_t channels) {
  if (operands.size() > 2 && !IsVector(operands[2], channels)) {
    return Invalid("bias: must be a vector with one element per output channel", channels);
  }
  return OkStatus();
}

Status CheckSingleGroup(int32_t groups) {
  if (groups != 1) return Invalid("depthwise_conv2d: groups must be 1", groups);
  return OkStatus();
}

// All operands from `first` on are vectors [channels of operand 0].
Status CheckNorm(std::span<const TensorType> operands, size_t first) {
  const Shape& x = operands[0].shape;
  if (x.rank() < 2) return Invalid("batch norm: operand 0 needs at least 2 dimensions", x.rank());
  for (size_t i = first; i < operands.size(); ++i) {
    if (!IsVector(operands[i], x[-1])) {
      return Invalid("batch norm: operand is not a vector of one element per channel", int64_t(i));
    }
  }
  return OkStatus();
}

Status CheckNoAct(const Attrs& attrs) {
  if (As<NormAttrs>(attrs).act != Act::kNone) {
    return Invalid("batch norm gradient: has no activation", int64_t(As<NormAttrs>(attrs).act));
  }
  return OkStatus();
}

// Shape of pooling x[N,H,W,C].
Status PoolShape(const Shape& x, const PoolAttrs& a, Shape* y) {
  if (x.rank() != 4) return Invalid("pool: input needs 4 dimensions", x.rank());
  int64_t out[2];
  for (int i = 0; i < 2; ++i) {
    const int64_t pads = int64_t{a.pad[2 * i]} + a.pad[2 * i + 1];
    out[i] = Windows(x[1 + i], a.kernel[i], a.stride[i], pads, 1);
    if (out[i] < 1) return Invalid("pool: kernel does not fit into the padded input", x[1 + i]);
  }
  *y = {x[0], out[0], out[1], x[3]};
  return OkStatus();
}

Status CheckPoolSize(const Shape& x, const PoolAttrs& a) {
  const bool unset = a.size[0] == 0 && a.size[1] == 0;
  if (!unset && (a.size[0] != x[1] || a.size[1] != x[2])) {
    return Invalid("pool: size is not the input's", a.size[0]);
  }
  return OkStatus();
}

}  // namespace

PT_SHAPE_RULE(Conv2d) {
  const ConvAttrs& a = As<ConvAttrs>(attrs);
  const Shape& x = operands[0].shape;
  const Shape& w = operands[1].shape;
  if (x.rank() != 4) return Invalid("conv2d: input needs 4 dimensions", x.rank());
  if (w.rank() != 4) return Invalid("conv2d: filter needs 4 dimensions", w.rank());
  PT_RETURN_IF_ERROR(CheckGroups(x[3], w[0], a.groups));
  if (w[3] != x[3] / a.groups) {
    return Invalid("conv2d: filter expects another number of input channels", w[3]);
  }
  PT_RETURN_IF_ERROR(CheckBias(operands, w[0]));
  int64_t out[2];
  PT_RETURN_IF_ERROR(ConvSpatial(a, {x[1], x[2]}, {w[1], w[2]}, out));
  results[0] = {{x[0], out[0], out[1], w[0]}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(DepthwiseConv2d) {
  const ConvAttrs& a = As<ConvAttrs>(attrs);
  const Shape& x = operands[0].shape;
  const Shape& w = operands[1].shape;
  if (x.rank() != 4) return Invalid("depthwise_conv2d: input needs 4 dimensions", x.rank());
  if (w.rank() != 3) return Invalid("depthwise_conv2d: filter needs 3 dimensions", w.rank());
  PT_RETURN_IF_ERROR(CheckSingleGroup(a.groups));
  if (w[2] != x[3]) {
    return Invalid("depthwise_conv2d: filter has another number of channels than the input", w[2]);
  }
  PT_RETURN_IF_ERROR(CheckBias(operands, x[3]));
  int64_t out[2];
  PT_RETURN_IF_ERROR(ConvSpatial(a, {x[1], x[2]}, {w[0], w[1]}, out));
  results[0] = {{x[0], out[0], out[1], x[3]}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(Matmul) {
  const MatmulAttrs& at = As<MatmulAttrs>(attrs);
  const Shape& a = operands[0].shape;
  const Shape& b = operands[1].shape;
  if (a.rank() < 2) return Invalid("matmul: operand 0 needs at least 2 dimensions", a.rank());
  if (b.rank() != 2 && b.rank() != a.rank()) {
    return Invalid("matmul: operand 1 needs 2 dimensions or the rank of operand 0", b.rank());
  }
  for (int i = 0; b.rank() > 2 && i < a.rank() - 2; ++i) {
    if (a[i] != b[i]) return Invalid("matmul: batch dimensions differ", i);
  }
  const int64_t m = at.trans_a ? a[-1] : a[-2];
  const int64_t k = at.trans_a ? a[-2] : a[-1];
  const int64_t n = at.trans_b ? b[-2] : b[-1];
  if ((at.trans_b ? b[-1] : b[-2]) != k) {
    return Invalid("matmul: the operands' inner dimensions differ", k);
  }
  PT_RETURN_IF_ERROR(CheckBias(operands, n));
  results[0] = operands[0];
  results[0].shape[-2] = m;
  results[0].shape[-1] = n;
  return OkStatus();
}

PT_SHAPE_RULE(Conv2dGradInput) {
  const ConvGradAttrs& a = As<ConvGradAttrs>(attrs);
  const Shape& dy = operands[0].shape;
  const Shape& w = operands[1].shape;
  if (dy.rank() != 4) return Invalid("conv2d_grad_input: dy needs 4 dimensions", dy.rank());
  if (w.rank() != 4) return Invalid("conv2d_grad_input: filter needs 4 dimensions", w.rank());
  if (dy[3] != w[0]) return Invalid("conv2d_grad_input: dy has other channels than w", dy[3]);
  // Groups are not bound by any operand's size yet: text may name 2^31 of them.
  int64_t channels;
  if (!CheckedMul(w[3], a.groups, &channels)) {
    return Invalid("conv2d_grad_input: too many groups", a.groups);
  }
  PT_RETURN_IF_ERROR(CheckGroups(channels, w[0], a.groups));
  PT_RETURN_IF_ERROR(CheckGradSpatial(a, {a.size[0], a.size[1]}, {w[1], w[2]}, dy));
  results[0] = {{dy[0], a.size[0], a.size[1], channels}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(Conv2dGradFilter) {
  const ConvGradAttrs& a = As<ConvGradAttrs>(attrs);
  const Shape& dy = operands[0].shape;
  const Shape& x = operands[1].shape;
  if (dy.rank() != 4) return Invalid("conv2d_grad_filter: dy needs 4 dimensions", dy.rank());
  if (x.rank() != 4) return Invalid("conv2d_grad_filter: input needs 4 dimensions", x.rank());
  if (dy[0] != x[0]) return Invalid("conv2d_grad_filter: batch sizes differ", dy[0]);
  PT_RETURN_IF_ERROR(CheckGroups(x[3], dy[3], a.groups));
  PT_RETURN_IF_ERROR(CheckGradSpatial(a, {x[1], x[2]}, {a.size[0], a.size[1]}, dy));
  results[0] = {{dy[3], a.size[0], a.size[1], x[3] / a.groups}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(DepthwiseConv2dGradInput) {
  const ConvGradAttrs& a = As<ConvGradAttrs>(attrs);
  const Shape& dy = operands[0].shape;
  const Shape& w = operands[1].shape;
  if (dy.rank() != 4)
    return Invalid("depthwise_conv2d_grad_input: dy needs 4 dimensions", dy.rank());
  if (w.rank() != 3)
    return Invalid("depthwise_conv2d_grad_input: filter needs 3 dimensions", w.rank());
  if (dy[3] != w[2]) {
    return Invalid("depthwise_conv2d_grad_input: dy has other channels than w", dy[3]);
  }
  PT_RETURN_IF_ERROR(CheckSingleGroup(a.groups));
  PT_RETURN_IF_ERROR(CheckGradSpatial(a, {a.size[0], a.size[1]}, {w[0], w[1]}, dy));
  results[0] = {{dy[0], a.size[0], a.size[1], dy[3]}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(DepthwiseConv2dGradFilter) {
  const ConvGradAttrs& a = As<ConvGradAttrs>(attrs);
  const Shape& dy = operands[0].shape;
  const Shape& x = operands[1].shape;
  if (dy.rank() != 4) {
    return Invalid("depthwise_conv2d_grad_filter: dy needs 4 dimensions", dy.rank());
  }
  if (x.rank() != 4) {
    return Invalid("depthwise_conv2d_grad_filter: input needs 4 dimensions", x.rank());
  }
  if (dy[0] != x[0] || dy[3] != x[3]) {
    return Invalid("depthwise_conv2d_grad_filter: dy has another batch or other channels than x",
                   dy[3]);
  }
  PT_RETURN_IF_ERROR(CheckSingleGroup(a.groups));
  PT_RETURN_IF_ERROR(CheckGradSpatial(a, {x[1], x[2]}, {a.size[0], a.size[1]}, dy));
  results[0] = {{a.size[0], a.size[1], x[3]}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(BatchNorm) {
  PT_RETURN_IF_ERROR(CheckNorm(operands, 1));
  results[0] = operands[0];
  results[1] = results[2] = operands[1];
  return OkStatus();
}

PT_SHAPE_RULE(BatchNormFrozen) {
  PT_RETURN_IF_ERROR(CheckNorm(operands, 1));
  results[0] = operands[0];
  return OkStatus();
}

// The shift serves to find out again where relu or relu6 let the result through; it stands behind
// `vectors` others.
Status CheckNormGrad(std::span<const TensorType> operands, Act act, size_t vectors) {
  if (act != Act::kNone && act != Act::kRelu && act != Act::kRelu6) {
    return Invalid("batch_norm_grad: goes through relu and relu6 alone", int64_t(act));
  }
  if ((operands.size() == 3 + vectors) != (act != Act::kNone)) {
    return Invalid("batch_norm_grad: has a shift with an activation alone", int64_t(act));
  }
  if (operands[0] != operands[1]) return Invalid("batch_norm_grad: dy and x differ in shape");
  return CheckNorm(operands, 2);
}

PT_SHAPE_RULE(BatchNormMoments) {
  const Shape& x = operands[0].shape;
  if (x.rank() < 3) return Invalid("batch_norm_moments: x needs at least 3 dimensions", x.rank());
  results[0] = {{x[0], 2, x[-1]}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(BatchNormStatistics) {
  const Shape& moments = operands[0].shape;
  if (moments.rank() != 3 || moments[1] != 2) {
    return Invalid("batch_norm_statistics: the moments are not [N,2,C]", moments.rank());
  }
  results[0] = results[1] = {{moments[2]}, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(BatchNormGradParams) {
  PT_RETURN_IF_ERROR(CheckNormGrad(operands, As<NormAttrs>(attrs).act, 3));
  results[0] = results[1] = operands[2];
  return OkStatus();
}

PT_SHAPE_RULE(BatchNormGradInput) {
  PT_RETURN_IF_ERROR(CheckNormGrad(operands, As<NormGradAttrs>(attrs).act, 5));
  results[0] = operands[0];
  return OkStatus();
}

PT_SHAPE_RULE(BatchNormGrad) {
  PT_RETURN_IF_ERROR(CheckNormGrad(operands, As<NormAttrs>(attrs).act, 3));
  results[0] = operands[0];
  results[1] = results[2] = operands[2];
  return OkStatus();
}

PT_SHAPE_RULE(BatchNormFrozenGradInput) {
  PT_RETURN_IF_ERROR(CheckNoAct(attrs));
  PT_RETURN_IF_ERROR(CheckNorm(operands, 1));
  results[0] = operands[0];
  return OkStatus();
}

PT_SHAPE_RULE(BatchNormFrozenGradScale) {
  PT_RETURN_IF_ERROR(CheckNoAct(attrs));
  if (operands[0] != operands[1]) {
    return Invalid("batch_norm_frozen_grad_scale: dy and x differ in shape");
  }
  PT_RETURN_IF_ERROR(CheckNorm(operands, 2));
  results[0] = operands[2];
  return OkStatus();
}

PT_SHAPE_RULE(Pool) {
  const PoolAttrs& a = As<PoolAttrs>(attrs);
  Shape y;
  PT_RETURN_IF_ERROR(PoolShape(operands[0].shape, a, &y));
  PT_RETURN_IF_ERROR(CheckPoolSize(operands[0].shape, a));
  results[0] = {y, operands[0].dtype};
  return OkStatus();
}

PT_SHAPE_RULE(MaxPoolGrad) {
  const PoolAttrs& a = As<PoolAttrs>(attrs);
  Shape y;
  PT_RETURN_IF_ERROR(PoolShape(operands[1].shape, a, &y));
  PT_RETURN_IF_ERROR(CheckPoolSize(operands[1].shape, a));
  if (operands[0].shape != y)
    return Invalid("max_pool_grad: dy is not shaped as the pool's result");
  results[0] = operands[1];
  return OkStatus();
}

PT_SHAPE_RULE(AvgPoolGrad) {
  const PoolAttrs& a = As<PoolAttrs>(attrs);
  const Shape& dy = operands[0].shape;
  if (dy.rank() != 4) return Invalid("avg_pool_grad: dy needs 4 dimensions", dy.rank());
  const Shape x = {dy[0], a.size[0], a.size[1], dy[3]};
  if (!ShapeInRange(x)) return Invalid("avg_pool_grad: size is out of range", a.size[0]);
  Shape y;
  PT_RETURN_IF_ERROR(PoolShape(x, a, &y));
  if (dy != y) return Invalid("avg_pool_grad: dy is not shaped as the pool's result");
  results[0] = {x, operands[0].dtype};
  return OkStatus();
}

}  // namespace pocketune
