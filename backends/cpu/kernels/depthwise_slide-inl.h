// Depthwise 3x3 windows that move on by one pixel, per instruction set: a loop over the columns of
// the image reads each pixel once and meets with it the three windows that hold it, so that borders
// need no code of their own.
#if defined(POCKETUNE_DEPTHWISE_SLIDE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_DEPTHWISE_SLIDE_INL_H_
#undef POCKETUNE_DEPTHWISE_SLIDE_INL_H_
#else
#define POCKETUNE_DEPTHWISE_SLIDE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

// Three image rows under a window. One outside of the image is a pixel of zeros again and again.
struct SlideRows {
  const float* rows[3];
  int64_t steps[3];  // floats from one pixel to the next

  // Row `h` of an image of height x width pixels as row s of the window.
  HWY_INLINE void Set(int s, const float* image, int64_t h, int64_t height, int64_t width,
                      int64_t channels) {
    static constexpr float kZeros[16] = {};
    const bool inside = h >= 0 && h < height;
    rows[s] = inside ? image + h * width * channels : kZeros;
    steps[s] = inside ? channels : 0;
  }
  // Row `h` or, outside of the image, the nearest.
  static HWY_INLINE const float* Nearest(const float* image, int64_t h, int64_t height,
                                         int64_t width, int64_t channels) {
    return image + std::clamp<int64_t>(h, 0, height - 1) * width * channels;
  }
  // Where channel c of row s begins.
  HWY_INLINE const float* From(int s, int64_t c) const {
    return steps[s] == 0 ? rows[s] : rows[s] + c;
  }
};

// The rows that come next, fetched while this one is computed: x is read, y read or written. The
// loops take the channels of one vector after another, steps too far apart for the processor to see
// in them rows that are read from one end to the other.
struct NextRows {
  const float* x;
  const float* y;

  // What falls to pixel i of `pixels` at the channels from c on.
  template <int kWrite>
  HWY_INLINE void Fetch(int64_t c, int64_t pixels, int64_t i) const {
    const int64_t at = c * pixels + i * FloatLanes();
    __builtin_prefetch(x + at);
    __builtin_prefetch(y + at, kWrite);
  }
};

// One row of results: that of `points` windows, of which window i covers columns i + origin to
// i + origin + 2 of an image of `width` pixels.
struct SlideResult {
  SlideRows x;
  const float* weights[3];  // of each row's first tap
  int64_t weight_step;      // to the next tap
  const float* bias;        // or null
  float* y;                 // channels floats for each window
  NextRows next;
  int64_t channels, points, width, origin;
  Bounds bounds;
};

// The channels of `access` from c on, with kAhead fetching g.next.
template <bool kAhead, class Access>
HWY_INLINE void SlideVector(const SlideResult& g, const Access& access, int64_t c) {
  const F32 d;
  VF w[3][3];
  const float* x[3];
  PT_UNROLL for (int s = 0; s < 3; ++s) {
    x[s] = g.x.From(s, c) + std::max<int64_t>(g.origin, 0) * g.x.steps[s];
    PT_UNROLL for (int t = 0; t < 3; ++t) {
      w[s][t] = access.Load(g.weights[s] + t * g.weight_step + c);
    }
  }
  const VF start = g.bias != nullptr ? access.Load(g.bias + c) : hn::Zero(d);
  // Of the window whose last column is at hand, and of the two that follow.
  VF sum0 = start, sum1 = start;
  float* y = g.y + c;
  for (int64_t i = -2; i < g.points; ++i) {
    VF sum2 = start;
    const int64_t column = i + 2 + g.origin;
    if (column >= 0 && column < g.width) {
      PT_UNROLL for (int s = 0; s < 3; ++s) {
        const VF v = access.Load(x[s]);
        x[s] += g.x.steps[s];
        sum0 = hn::MulAdd(v, w[s][2], sum0);
        sum1 = hn::MulAdd(v, w[s][1], sum1);
        sum2 = hn::MulAdd(v, w[s][0], sum2);
      }
    }
    if constexpr (kAhead) g.next.Fetch<1>(c, g.points, i);
    if (i >= 0) {
      access.Store(g.bounds(d, sum0), y);
      y += g.channels;
    }
    sum0 = sum1;
    sum1 = sum2;
  }
}

// dw [3, 3, channels] += what one row of `points` windows adds: dy [points, channels] times the
// pixels under each.
struct SlideFilter {
  SlideRows x;
  const float* dy;
  NextRows next;
  int64_t channels, points, width, origin;
};

// Adds to sum[s][t] for the channels of `access` from c on, with kAhead fetching g.next.
template <bool kAhead, class Access>
HWY_INLINE void SlideFilterVector(const SlideFilter& g, const Access& access, int64_t c,
                                  VF (&sum)[3][3]) {
  const float* x[3];
  PT_UNROLL for (int s = 0; s < 3; ++s) x[s] = g.x.From(s, c);
  const auto at = [&](int64_t i) HWY_ATTR {
    return i >= 0 && i < g.points ? access.Load(g.dy + i * g.channels + c) : hn::Zero(F32());
  };
  // Of the windows that the column at hand is the second and the last of.
  VF dy1 = at(-g.origin - 1), dy2 = at(-g.origin - 2);
  for (int64_t column = 0; column < g.width; ++column) {
    const VF dy0 = at(column - g.origin);
    PT_UNROLL for (int s = 0; s < 3; ++s) {
      const VF v = access.Load(x[s]);
      x[s] += g.x.steps[s];
      sum[s][0] = hn::MulAdd(v, dy0, sum[s][0]);
      sum[s][1] = hn::MulAdd(v, dy1, sum[s][1]);
      sum[s][2] = hn::MulAdd(v, dy2, sum[s][2]);
    }
    if constexpr (kAhead) g.next.Fetch<0>(c, g.width, column);
    dy2 = dy1;
    dy1 = dy0;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#endif  // POCKETUNE_DEPTHWISE_SLIDE_INL_H_
