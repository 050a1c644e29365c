// The sizes of a convolution, whichever of its three products is computed.
#pragma once

#include <cstdint>

#include "backends/cpu/gemm.h"
#include "engine/ops/attrs.h"
#include "pocketune/types.h"

namespace pocketune {

// x[batch, in_h, in_w, groups * group_in], w[groups * group_out, kernel_h, kernel_w, group_in],
// y[batch, out_h, out_w, groups * group_out].
struct ConvGeometry {
  int64_t batch, groups;
  int64_t in_h, in_w, group_in;
  int64_t kernel_h, kernel_w;
  int64_t out_h, out_w, group_out;
  int64_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;

  int64_t in_channels() const { return groups * group_in; }
  int64_t out_channels() const { return groups * group_out; }
  // Pixels of x and y correspond one to one: a plain matrix product.
  bool pointwise() const {
    return kernel_h == 1 && kernel_w == 1 && stride_h == 1 && stride_w == 1 && pad_top == 0 &&
           pad_left == 0 && in_h == out_h && in_w == out_w;
  }
};

// A is ConvAttrs or ConvGradAttrs.
template <typename A>
ConvGeometry GeometryOf(const Shape& x, const Shape& w, const Shape& y, const A& attrs) {
  ConvGeometry g;
  g.batch = x[0];
  g.groups = attrs.groups;
  g.in_h = x[1];
  g.in_w = x[2];
  g.group_in = w[3];
  g.kernel_h = w[1];
  g.kernel_w = w[2];
  g.out_h = y[1];
  g.out_w = y[2];
  g.group_out = w[0] / attrs.groups;
  g.stride_h = attrs.stride[0];
  g.stride_w = attrs.stride[1];
  g.pad_top = attrs.pad[0];
  g.pad_left = attrs.pad[2];
  g.dilation_h = attrs.dilation[0];
  g.dilation_w = attrs.dilation[1];
  return g;
}

// One dimension of a loop that computes pixels from pixels through kernel taps: pixel
// out_first + i * out_stride, i < points, reads pixels i * stride + origin + t * step through taps
// first_tap + t * tap_step, t < taps. step > 0.
struct TapLine {
  int64_t points, taps;
  int64_t out_first, out_stride;
  int64_t stride, origin, step;
  int64_t first_tap, tap_step;
};

// Output pixels from input pixels.
TapLine ForwardLine(int64_t out, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation);
// Gradient of the input pixels phase, phase + stride, ... from output pixels, phase < stride. These
// pixels are read through the same taps, perhaps through none.
TapLine GradLine(int64_t phase, int64_t in, int64_t kernel, int64_t stride, int64_t pad,
                 int64_t dilation);

// The patches of x that one output pixel each reads: rows of A (kPatches) or, with the pixel as the
// summed dimension, columns of B (kPatchesAcross). A plain matrix where the convolution is one.
GemmOperand InputPatches(const ConvGeometry& g, const float* x, GemmOperand::Kind kind);

}  // namespace pocketune
