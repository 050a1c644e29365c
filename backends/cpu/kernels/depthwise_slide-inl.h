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
#include <type_traits>

#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/depthwise.h"
#include "backends/cpu/kernels/depthwise_gather-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "engine/base/math.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

// How windows of kRows x kTaps taps slide along a row of positions: each begins kTo positions after
// the one before, and the image has a pixel at each multiple of kFrom. So kTo = 2 is stride 2, and
// kFrom = 2 its gradient, where two windows begin between one pixel and the next. kRows = 0 stands
// for any number of rows up to kTaps.
template <int kRowsOf, int kTapsOf, int kFromOf, int kToOf>
struct Slide {
  static constexpr int kRows = kRowsOf, kTaps = kTapsOf, kFrom = kFromOf, kTo = kToOf;
  static constexpr int kPeriod = kFrom * kTo;  // positions until all is as before
  static_assert(kRows <= 3 && std::min(kFrom, kTo) == 1);
  // How much a period brings: pixels, windows, and pixels that the next row of windows is the first
  // to read. Where two rows of windows share their rows of pixels, the one over fewer fetches.
  static constexpr int kPixels = kTo, kWindows = kFrom;
  static constexpr int kNewPixels = kFrom == 2 && kRows == 2 ? 0 : kPixels * kTo;

  // Does tap t of a window meet position q of a period? Windows begin at position 0.
  static constexpr bool Meets(int t, int q) { return (q - t) % kTo == 0; }

  // Adds pixel v at position q, times the taps of its row, to the sums of the windows that end 0,
  // 1, 2, ... positions on.
  static HWY_INLINE void Add(VF v, const VF (&taps)[kTaps], int q, VF (&sum)[kTaps]) {
    PT_UNROLL for (int t = 0; t < kTaps; ++t) {
      if (Meets(t, q)) sum[kTaps - 1 - t] = hn::MulAdd(v, taps[t], sum[kTaps - 1 - t]);
    }
  }
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

// What the windows of a row of results read where they have S::kRows rows: those of `x`.
template <class S>
struct FewRows {
  SlideRows x;
  const float* weights[3];  // of each row's first tap

  FewRows(const GatherRow& g, int64_t i) {
    const int64_t above = i * g.h.stride + g.h.origin;
    for (int s = 0; s < S::kRows; ++s) {
      x.Set(s, g.from, above + s * g.h.step, g.height, g.width, g.channels);
      weights[s] = g.Weight(s, 0);
    }
  }
};

// The same where they have any number of rows: those inside of the image alone.
struct ManyRows {
  int64_t rows;
  const float* x;        // of the first row
  const float* weights;  // of its first tap
  int64_t x_step, weight_step;

  ManyRows(const GatherRow& g, int64_t i) {
    const TapRange inside = TapsInside(g.h, i, g.height);
    rows = inside.last - inside.first;
    x = g.Pixel(inside.first, i, 0, 0) - g.w.origin * g.channels;
    weights = g.Weight(inside.first, 0);
    x_step = g.h.step * g.width * g.channels;
    weight_step = g.h.tap_step * g.kernel_w * g.channels;
  }
};

// A column of pixels under the windows, moving along the row, at the channels of `access` from c
// on: the weights stay in registers.
template <class S, class Access>
class FewColumn {
 public:
  HWY_INLINE FewColumn(const FewRows<S>& from, const GatherRow& g, const Access& access, int64_t c,
                       int64_t column)
      : from_(from), access_(access) {
    PT_UNROLL for (int s = 0; s < S::kRows; ++s) {
      x_[s] = from.x.From(s, c, column);
      PT_UNROLL for (int t = 0; t < S::kTaps; ++t) {
        w_[s][t] = access.Load(from.weights[s] + t * g.w.tap_step * g.channels + c);
      }
    }
  }
  HWY_INLINE void AddNext(int q, VF (&sum)[S::kTaps]) {
    PT_UNROLL for (int s = 0; s < S::kRows; ++s) {
      const VF v = access_.Load(x_[s]);
      x_[s] += from_.x.steps[s];  // now, or GCC loads v again for each use
      S::Add(v, w_[s], q, sum);
    }
  }

 private:
  const FewRows<S>& from_;
  const Access& access_;
  VF w_[S::kRows][S::kTaps];
  const float* x_[S::kRows];
};

// The same with the weights in a block of memory.
template <class S, class Access>
class ManyColumn {
 public:
  HWY_INLINE ManyColumn(const ManyRows& from, const GatherRow& g, const Access& access, int64_t c,
                        int64_t column)
      : from_(from), access_(access), step_(g.channels) {
    x_ = from.x + c + std::max<int64_t>(column, 0) * step_;
    for (int64_t s = 0; s < from.rows; ++s) {
      PT_UNROLL for (int t = 0; t < S::kTaps; ++t) {
        w_[s][t] = access.Load(from.weights + s * from.weight_step + t * g.w.tap_step * step_ + c);
      }
    }
  }
  HWY_INLINE void AddNext(int q, VF (&sum)[S::kTaps]) {
    const float* x = x_;
    for (int64_t s = 0; s < from_.rows; ++s, x += from_.x_step) {
      S::Add(access_.Load(x), w_[s], q, sum);
    }
    x_ += step_;
  }

 private:
  const ManyRows& from_;
  const Access& access_;
  VF w_[S::kTaps][S::kTaps];
  const float* x_;
  int64_t step_;
};

template <class S>
using RowsOf = std::conditional_t<S::kRows == 0, ManyRows, FewRows<S>>;
template <class S, class Access>
using ColumnOf = std::conditional_t<S::kRows == 0, ManyColumn<S, Access>, FewColumn<S, Access>>;

// The channels of `access` from c on of a row of results.
template <class S, class Access>
HWY_INLINE void SlideVector(const GatherRow& g, const RowsOf<S>& rows, const NextRows& next,
                            const Access& access, int64_t c) {
  constexpr int kLast = S::kTaps - 1;
  const F32 d;
  // From the last position at or before the first window's that begins a period.
  const int64_t skipped = g.w.origin & (S::kFrom - 1);
  int64_t column = (g.w.origin - skipped) / S::kFrom;
  int64_t i = -(skipped + kLast) / S::kTo;  // of the window that ends there
  ColumnOf<S, Access> pixels(rows, g, access, c, column);
  // Copies, since the compiler cannot see that stores to y leave g alone.
  const int64_t points = g.w.points, width = g.width, channels = g.channels;
  const Bounds bounds = g.bounds;
  const VF start = g.bias != nullptr ? access.Load(g.bias + c) : hn::Zero(d);
  VF sum[S::kTaps];  // of the windows that end 0, 1, 2, ... positions on
  PT_UNROLL for (int t = 0; t < S::kTaps; ++t) sum[t] = start;
  float* y = g.to + c;
  for (int64_t period = 0; i < points; ++period) {
    PT_UNROLL for (int q = 0; q < S::kPeriod; ++q) {
      if (q % S::kFrom == 0 && IsIndex(column++, width)) pixels.AddNext(q, sum);
      if (S::Meets(kLast, q) && IsIndex(i++, points)) {
        access.Store(bounds(d, sum[0]), y);
        y += channels;
      }
      PT_UNROLL for (int t = 0; t < kLast; ++t) sum[t] = sum[t + 1];
      sum[kLast] = start;
    }
    next.template Fetch<S::kNewPixels, S::kWindows, 1>(c, period);
  }
}

// The row of results at point i of g.h.
template <class S>
void SlideAll(const GatherRow& g, int64_t i) {
  const RowsOf<S> rows(g, i);
  NextRows next;
  if (g.from_memory) {
    const int64_t below = i * g.h.stride + g.h.origin + g.h.taps * g.h.step;
    next.x = SlideRows::Nearest(g.from, below, g.height, g.width, g.channels);
    next.y = g.to + g.w.points * g.channels;
    next.periods = CeilDiv(g.w.points, S::kWindows);
  }
  ForEachVector(g.last_channel - g.first_channel, [&](const auto& access, int64_t c) HWY_ATTR {
    SlideVector<S>(g, rows, next, access, g.first_channel + c);
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

// Rows of dy that are taken at once. Two from memory: what one of them has read the other still
// finds in the first cache, while the rows that come after both are fetched into the next.
inline constexpr int64_t kRowsFromMemory = 2, kRowsFromCache = 8;

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
    const int64_t below = h + S::kRows * a.dilation_h + (kRowsFromMemory - 1) * a.stride_h;
    g.next.x = SlideRows::Nearest(image, below, a.in_h, a.in_w, a.channels);
    g.next.y = g.dy + kRowsFromMemory * a.out_w * a.channels;
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

// GradFilterRows where the windows slide.
template <class S>
void SlideFilterRows(const DepthwiseArgs& a, int64_t first, int64_t last, float* to) {
  SlideFilter rows[std::max(kRowsFromMemory, kRowsFromCache)];
  ZeroFloats(to, S::kRows * S::kTaps * a.channels);
  const int64_t step = a.FromMemory() ? kRowsFromMemory : kRowsFromCache;
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
