// The sizes and arrays of a depthwise convolution or one of its gradients.
#pragma once

#include <cstdint>

#include "engine/ops/attrs.h"
#include "pocketune/types.h"

namespace pocketune {

// x, dx [batch, in_h, in_w, channels]; w, dw [kernel_h, kernel_w, channels];
// y, dy [batch, out_h, out_w, channels]; bias [channels] or null.
struct DepthwiseArgs {
  int64_t batch, channels;
  int64_t in_h, in_w, kernel_h, kernel_w, out_h, out_w;
  int64_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  const float* x = nullptr;
  const float* w = nullptr;
  const float* bias = nullptr;
  const float* dy = nullptr;
  float* y = nullptr;
  float* dx = nullptr;
  float* dw = nullptr;
  Act act = Act::kNone;

  // Whether images come from memory, more than the caches of a core hold.
  bool FromMemory() const {
    constexpr int64_t kCacheFloats = 1 << 19;
    return batch * channels * (in_h * in_w + out_h * out_w) > kCacheFloats;
  }
};

// A is ConvAttrs or ConvGradAttrs.
template <typename A>
DepthwiseArgs DepthwiseSizes(const Shape& x, const Shape& w, const Shape& y, const A& attrs) {
  DepthwiseArgs a;
  a.batch = x[0];
  a.channels = x[3];
  a.in_h = x[1];
  a.in_w = x[2];
  a.kernel_h = w[0];
  a.kernel_w = w[1];
  a.out_h = y[1];
  a.out_w = y[2];
  a.stride_h = attrs.stride[0];
  a.stride_w = attrs.stride[1];
  a.pad_top = attrs.pad[0];
  a.pad_left = attrs.pad[2];
  a.dilation_h = attrs.dilation[0];
  a.dilation_w = attrs.dilation[1];
  return a;
}

}  // namespace pocketune
