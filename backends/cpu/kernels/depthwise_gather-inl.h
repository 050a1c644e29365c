// Depthwise windows of any kind, per instruction set: a few neighbouring results are summed up tap
// by tap.
#if defined(POCKETUNE_DEPTHWISE_GATHER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_DEPTHWISE_GATHER_INL_H_
#undef POCKETUNE_DEPTHWISE_GATHER_INL_H_
#else
#define POCKETUNE_DEPTHWISE_GATHER_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/conv2d.h"
#include "backends/cpu/kernels/math-inl.h"
#include "engine/base/math.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

// The points i of a line for which tap t reads a pixel inside [0, size): [first, last).
struct PointRange {
  int64_t first, last;
};
HWY_INLINE PointRange PointsInside(const TapLine& line, int64_t t, int64_t size) {
  const int64_t at = line.origin + t * line.step;
  const int64_t first = std::min(at >= 0 ? 0 : CeilDiv(-at, line.stride), line.points);
  const int64_t last = size > at ? CeilDiv(size - at, line.stride) : 0;
  return {first, std::max(std::min(last, line.points), first)};
}

// The taps through which point i reads pixels inside [0, size): [first, last).
struct TapRange {
  int64_t first, last;
};
HWY_INLINE TapRange TapsInside(const TapLine& line, int64_t i, int64_t size) {
  const int64_t at = i * line.stride + line.origin;
  const int64_t first = std::min(at >= 0 ? 0 : CeilDiv(-at, line.step), line.taps);
  const int64_t last = size > at ? CeilDiv(size - at, line.step) : 0;
  return {first, std::max(std::min(last, line.taps), first)};
}

// Result pixels in one row: `from` [height, width, channels] is one image, w [KH, KW, channels].
struct GatherRow {
  TapLine h, w;
  int64_t apart = 1;  // positions of w from one pixel of `from` to the next, where windows slide
  int64_t height, width, channels, kernel_w;
  const float* from;
  const float* weights;
  const float* bias;                    // [channels] or null
  float* to;                            // the row of the result
  Bounds bounds;                        // of the result
  TapRange rows;                        // taps of h that are inside
  int64_t first_channel, last_channel;  // of what is computed: [first, last)
  bool from_memory;                     // DepthwiseArgs::FromMemory

  const float* Pixel(int64_t s, int64_t i, int64_t j, int64_t t) const {
    const int64_t y = i * h.stride + h.origin + s * h.step;
    const int64_t x = j * w.stride + w.origin + t * w.step;
    return from + (y * width + x) * channels;
  }
  const float* Weight(int64_t s, int64_t t) const {
    return weights +
           ((h.first_tap + s * h.tap_step) * kernel_w + w.first_tap + t * w.tap_step) * channels;
  }
};

// The taps of kPixels neighbouring result pixels: where the first reads, and steps in floats from
// tap to tap.
struct Taps {
  int64_t count_s, count_t;
  const float* x;
  const float* w;
  int64_t x_step_s, x_step_t, w_step_s, w_step_t;
  int64_t x_next, y_next;  // from one result pixel to the next
  float* y;
};

// Channels [c, c + count) of kPixels result pixels; count is Lanes or, with kWhole false, less.
template <int kPixels, bool kWhole>
HWY_INLINE void GatherVector(const Taps& taps, const GatherRow& g, int64_t c, int64_t count) {
  const F32 d;
  const auto load = [count](const float* p)
                        HWY_ATTR { return kWhole ? hn::LoadU(F32(), p) : LoadSome(p, count); };
  VF sum[kPixels];
  const VF start = g.bias != nullptr ? load(g.bias + c) : hn::Zero(d);
  PT_UNROLL for (int p = 0; p < kPixels; ++p) sum[p] = start;
  const float* x_row = taps.x + c;
  const float* w_row = taps.w + c;
  for (int64_t s = 0; s < taps.count_s; ++s) {
    const float* x = x_row;
    const float* w = w_row;
    for (int64_t t = 0; t < taps.count_t; ++t) {
      const VF weight = load(w);
      PT_UNROLL for (int p = 0; p < kPixels; ++p) {
        sum[p] = hn::MulAdd(load(x + p * taps.x_next), weight, sum[p]);
      }
      x += taps.x_step_t;
      w += taps.w_step_t;
    }
    x_row += taps.x_step_s;
    w_row += taps.w_step_s;
  }
  PT_UNROLL for (int p = 0; p < kPixels; ++p) {
    float* out = taps.y + p * taps.y_next + c;
    const VF y = g.bounds(d, sum[p]);
    if (kWhole) {
      hn::StoreU(y, d, out);
    } else {
      StoreSome(y, out, count);
    }
  }
}

// kPixels result pixels from point j on.
template <int kPixels>
HWY_INLINE void GatherPixels(const GatherRow& g, int64_t i, int64_t j, TapRange cols) {
  const int64_t channels = g.channels;
  const Taps taps = {g.rows.last - g.rows.first,
                     cols.last - cols.first,
                     g.Pixel(g.rows.first, i, j, cols.first),
                     g.Weight(g.rows.first, cols.first),
                     g.h.step * g.width * channels,
                     g.w.step * channels,
                     g.h.tap_step * g.kernel_w * channels,
                     g.w.tap_step * channels,
                     g.w.stride * channels,
                     g.w.out_stride * channels,
                     g.to + (g.w.out_first + j * g.w.out_stride) * channels};
  int64_t c = g.first_channel;
  for (; c + kLanes <= g.last_channel; c += kLanes) {
    GatherVector<kPixels, true>(taps, g, c, kLanes);
  }
  if (c < g.last_channel) GatherVector<kPixels, false>(taps, g, c, g.last_channel - c);
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#endif  // POCKETUNE_DEPTHWISE_GATHER_INL_H_
