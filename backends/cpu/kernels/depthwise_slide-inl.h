// Depthwise windows of three columns that slide along a row, per instruction set: a loop over the
// columns of the image reads each pixel once and meets with it all windows that hold it, so that
// borders need no code of their own.
#if defined(POCKETUNE_DEPTHWISE_SLIDE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_DEPTHWISE_SLIDE_INL_H_
#undef POCKETUNE_DEPTHWISE_SLIDE_INL_H_
#else
#define POCKETUNE_DEPTHWISE_SLIDE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/depthwise.h"
#include "backends/cpu/kernels/depthwise_gather-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "engine/base/math.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

// How windows of kRows x 3 taps slide along a row of positions: each begins kTo positions after the
// one before, and the image has a pixel at each multiple of kFrom. So kTo = 2 is stride 2, and
// kFrom = 2 its gradient, where two windows begin between one pixel and the next.
template <int kRowsOf, int kFromOf, int kToOf>
struct Slide {
  static constexpr int kRows = kRowsOf, kTaps = 3, kFrom = kFromOf, kTo = kToOf;
  static constexpr int kPeriod = kFrom * kTo;  // positions until all is as before
  static_assert(kRows <= 3 && std::min(kFrom, kTo) == 1);
  // How much a period brings: pixels, windows, and pixels that the next row of windows is the first
  // to read. Where two rows of windows share their rows of pixels, the one over fewer fetches.
  static constexpr int kPixels = kTo, kWindows = kFrom;
  static constexpr int kNewPixels = kFrom == 2 && kRows == 2 ? 0 : kPixels * kTo;

  // Does tap t of a window meet position q of a period? Windows begin at position 0.
  static constexpr bool Meets(int t, int q) { return (q - t) % kTo == 0; }
};

// Image rows under a window. One outside of the image is a pixel of zeros again and again.
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
  // Where channel c begins of the first pixel of row s at `column` or after it.
  HWY_INLINE const float* From(int s, int64_t c, int64_t column) const {
    return steps[s] == 0 ? rows[s] : rows[s] + c + std::max<int64_t>(column, 0) * steps[s];
  }
};

// The rows that come next, fetched while this one is computed: x is read, y read or written. The
// loops take the channels of one vector after another, steps too far apart for the processor to see
// in them rows that are read from one end to the other.
struct NextRows {
  const float* x = nullptr;  // null: nothing is fetched
  const float* y = nullptr;
  int64_t periods = 0;  // of a row

  // What falls to a period at the channels from c on: so many pixels of each.
  template <int kX, int kY, int kWrite>
  HWY_INLINE void Fetch(int64_t c, int64_t period) const {
    constexpr int kLine = 16;  // floats of a line of the cache
    if (x == nullptr) return;
    const int64_t at = c * periods + period * kLanes;
    PT_UNROLL for (int i = 0; i < kX * kLanes; i += kLine) __builtin_prefetch(x + at * kX + i);
    PT_UNROLL for (int i = 0; i < kY * kLanes; i += kLine) {
      __builtin_prefetch(y + at * kY + i, kWrite);
    }
  }
};

HWY_INLINE bool IsIndex(int64_t i, int64_t size) {
  return static_cast<uint64_t>(i) < static_cast<uint64_t>(size);
}

// One row of results: that of `points` windows, of which the first begins at position `origin`, in
// an image of `width` pixels.
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

// The channels of `access` from c on.
template <class S, class Access>
HWY_INLINE void SlideVector(const SlideResult& g, const Access& access, int64_t c) {
  constexpr int kTaps = S::kTaps, kLast = kTaps - 1;
  const F32 d;
  // From the last position at or before the first window's that begins a period.
  const int64_t skipped = g.origin & (S::kFrom - 1);
  int64_t column = (g.origin - skipped) / S::kFrom;
  int64_t i = -(skipped + kLast) / S::kTo;  // of the window that ends there
  VF w[S::kRows][kTaps];
  const float* x[S::kRows];
  PT_UNROLL for (int s = 0; s < S::kRows; ++s) {
    x[s] = g.x.From(s, c, column);
    PT_UNROLL for (int t = 0; t < kTaps; ++t) {
      w[s][t] = access.Load(g.weights[s] + t * g.weight_step + c);
    }
  }
  const VF start = g.bias != nullptr ? access.Load(g.bias + c) : hn::Zero(d);
  VF sum[kTaps];  // of the windows that end 0, 1, 2 positions on
  PT_UNROLL for (int t = 0; t < kTaps; ++t) sum[t] = start;
  float* y = g.y + c;
  for (int64_t period = 0; i < g.points; ++period) {
    PT_UNROLL for (int q = 0; q < S::kPeriod; ++q) {
      if (q % S::kFrom == 0 && IsIndex(column++, g.width)) {
        PT_UNROLL for (int s = 0; s < S::kRows; ++s) {
          const VF v = access.Load(x[s]);
          x[s] += g.x.steps[s];
          PT_UNROLL for (int t = 0; t < kTaps; ++t) {
            if (S::Meets(t, q)) sum[kLast - t] = hn::MulAdd(v, w[s][t], sum[kLast - t]);
          }
        }
      }
      if (S::Meets(kLast, q) && IsIndex(i++, g.points)) {
        access.Store(g.bounds(d, sum[0]), y);
        y += g.channels;
      }
      PT_UNROLL for (int t = 0; t < kLast; ++t) sum[t] = sum[t + 1];
      sum[kLast] = start;
    }
    g.next.Fetch<S::kNewPixels, S::kWindows, 1>(c, period);
  }
}

template <class S>
void SlideAll(const GatherRow& g, int64_t i) {
  SlideResult r;
  const int64_t above = i * g.h.stride + g.h.origin;
  for (int s = 0; s < S::kRows; ++s) {
    r.x.Set(s, g.from, above + s * g.h.step, g.height, g.width, g.channels);
    r.weights[s] = g.Weight(s, 0);
  }
  r.weight_step = g.w.tap_step * g.channels;
  r.bias = g.bias;
  r.y = g.to + g.w.out_first * g.channels;
  r.channels = g.channels;
  r.points = g.w.points;
  r.width = g.width;
  r.origin = g.w.origin;
  r.bounds = g.bounds;
  if (g.from_memory) {
    const int64_t below = above + S::kRows * g.h.step;
    r.next.x = SlideRows::Nearest(g.from, below, g.height, g.width, g.channels);
    r.next.y = r.y + r.points * r.channels;
    r.next.periods = CeilDiv(r.points, S::kWindows);
  }
  ForEachVector(g.last_channel - g.first_channel, [&](const auto& access, int64_t c) HWY_ATTR {
    SlideVector<S>(r, access, g.first_channel + c);
  });
}

// dw [3, 3, channels] += what one row of `points` windows adds: dy [points, channels] times the
// pixels under each.
struct SlideFilter {
  SlideRows x;
  const float* dy;
  NextRows next;
  int64_t channels, points, width, origin;
};

// Adds to sum[s][t] for the channels of `access` from c on.
template <class S, class Access>
HWY_INLINE void SlideFilterVector(const SlideFilter& g, const Access& access, int64_t c,
                                  VF (&sum)[S::kRows][S::kTaps]) {
  static_assert(S::kFrom == 1);
  constexpr int kTaps = S::kTaps;
  const float* x[S::kRows];
  PT_UNROLL for (int s = 0; s < S::kRows; ++s) x[s] = g.x.From(s, c, g.origin);
  const float* dy = g.dy + c;
  VF begun[kTaps];  // dy of the windows that began 0, 1, 2 positions before
  PT_UNROLL for (int t = 0; t < kTaps; ++t) begun[t] = hn::Zero(F32());
  int64_t column = g.origin;
  for (int64_t i = 0; i < g.points + (kTaps - 1) / S::kTo && column < g.width; ++i) {
    begun[0] = hn::Zero(F32());
    if (i < g.points) {
      begun[0] = access.Load(dy);
      dy += g.channels;
    }
    PT_UNROLL for (int q = 0; q < S::kPeriod; ++q) {
      if (IsIndex(column++, g.width)) {
        PT_UNROLL for (int s = 0; s < S::kRows; ++s) {
          const VF v = access.Load(x[s]);
          x[s] += g.x.steps[s];
          PT_UNROLL for (int t = 0; t < kTaps; ++t) {
            if (S::Meets(t, q)) sum[s][t] = hn::MulAdd(v, begun[t], sum[s][t]);
          }
        }
      }
      PT_UNROLL for (int t = kTaps - 1; t > 0; --t) begun[t] = begun[t - 1];
    }
    g.next.Fetch<S::kNewPixels, S::kWindows, 0>(c, i);
  }
}

// Row `row` of dy (rows count through all images) against the rows of x under its windows.
template <class S>
SlideFilter SlideFilterOf(const DepthwiseArgs& a, int64_t row) {
  SlideFilter g;
  const int64_t n = row / a.out_h, i = row % a.out_h;
  const float* image = a.x + n * a.in_h * a.in_w * a.channels;
  const int64_t h = i * a.stride_h - a.pad_top;
  for (int s = 0; s < S::kRows; ++s) {
    g.x.Set(s, image, h + s * a.dilation_h, a.in_h, a.in_w, a.channels);
  }
  g.dy = a.dy + row * a.out_w * a.channels;
  if (a.FromMemory()) {
    g.next.x = SlideRows::Nearest(image, h + S::kRows * a.dilation_h, a.in_h, a.in_w, a.channels);
    g.next.y = g.dy + a.out_w * a.channels;
    g.next.periods = a.out_w;
  }
  g.channels = a.channels;
  g.points = a.out_w;
  g.width = a.in_w;
  g.origin = -a.pad_left;
  return g;
}

// Adds to `to` what `count` rows of dy add, all rows of a vector of channels while their sums stay
// in registers.
template <class S>
HWY_INLINE void AddSlideFilters(const SlideFilter* rows, int64_t count, int64_t channels,
                                float* to) {
  constexpr int kTaps = S::kTaps, kAll = S::kRows * kTaps;
  ForEachVector(channels, [&](const auto& access, int64_t c) HWY_ATTR {
    VF sum[S::kRows][kTaps];
    PT_UNROLL for (int tap = 0; tap < kAll; ++tap) {
      sum[tap / kTaps][tap % kTaps] = access.Load(to + tap * channels + c);
    }
    for (int64_t i = 0; i < count; ++i) SlideFilterVector<S>(rows[i], access, c, sum);
    PT_UNROLL for (int tap = 0; tap < kAll; ++tap) {
      access.Store(sum[tap / kTaps][tap % kTaps], to + tap * channels + c);
    }
  });
}

// GradFilterRows where the windows slide: a row at a time where rows come from memory, else some.
template <class S>
void SlideFilterRows(const DepthwiseArgs& a, int64_t first, int64_t last, float* to) {
  constexpr int64_t kAtOnce = 8;
  SlideFilter rows[kAtOnce];
  ZeroFloats(to, S::kRows * S::kTaps * a.channels);
  const int64_t step = a.FromMemory() ? 1 : kAtOnce;
  for (int64_t row = first; row < last; row += step) {
    const int64_t count = std::min(step, last - row);
    for (int64_t i = 0; i < count; ++i) rows[i] = SlideFilterOf<S>(a, row + i);
    AddSlideFilters<S>(rows, count, a.channels, to);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#endif  // POCKETUNE_DEPTHWISE_SLIDE_INL_H_
