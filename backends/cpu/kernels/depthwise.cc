// Depthwise convolution, its input gradient (the same gather through other taps) and its filter
// gradient. Vectors run over channels; rows of the result are the work items.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/depthwise.cc"
// clang-format off: first of all includes
#include "backends/cpu/hwy_common.h"
// clang-format on

#include <algorithm>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/conv2d.h"
#include "backends/cpu/kernels/depthwise.h"
#include "backends/cpu/kernels/depthwise_gather-inl.h"
#include "backends/cpu/kernels/depthwise_slide-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "engine/base/math.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

// The row at point i of g.h where its windows have kTaps columns next to one another; false where
// these neither move by one or two nor lie over dy of stride 2.
template <int kTaps>
bool SlideMany(const GatherRow& g, int64_t i) {
  if (g.h.taps > kTaps) return false;
  if (g.apart == 2) {
    SlideAll<Slide<0, kTaps, 2, 1>>(g, i);
  } else if (g.w.stride == 1) {
    SlideAll<Slide<0, kTaps, 1, 1>>(g, i);
  } else if (g.w.stride == 2) {
    SlideAll<Slide<0, kTaps, 1, 2>>(g, i);
  } else {
    return false;
  }
  return true;
}
// The same for three columns, with as many rows as 3x3 windows have there.
bool SlideThree(const GatherRow& g, int64_t i) {
  if (g.apart == 2 && g.h.taps == 1) {
    SlideAll<Slide<1, 3, 2, 1>>(g, i);
  } else if (g.apart == 2 && g.h.taps == 2) {
    SlideAll<Slide<2, 3, 2, 1>>(g, i);
  } else if (g.apart == 1 && g.h.taps == 3 && g.w.stride == 1) {
    SlideAll<Slide<3, 3, 1, 1>>(g, i);
  } else if (g.apart == 1 && g.h.taps == 3 && g.w.stride == 2) {
    SlideAll<Slide<3, 3, 1, 2>>(g, i);
  } else {
    return false;
  }
  return true;
}
bool SlideRow(const GatherRow& g, int64_t i) {
  if (g.w.step != 1 || g.w.out_stride != 1) return false;
  if (g.w.taps == 3) return SlideThree(g, i);
  if (g.w.taps == 5) return SlideMany<5>(g, i);
  return g.w.taps == 7 && SlideMany<7>(g, i);
}

// All pixels of the row at point i of g.h.
void GatherAll(GatherRow& g, int64_t i) {
  if (SlideRow(g, i)) return;
  constexpr int kBlock = 4;
  g.rows = TapsInside(g.h, i, g.height);
  const TapRange all = {0, g.w.taps};
  int64_t first = g.w.points, last = g.w.points;  // points that see all taps
  if (g.w.taps > 0) {
    first = PointsInside(g.w, 0, g.width).first;
    last = std::max(first, PointsInside(g.w, g.w.taps - 1, g.width).last);
  }
  int64_t j = 0;
  for (; j < first; ++j) GatherPixels<1>(g, i, j, TapsInside(g.w, j, g.width));
  for (; j + kBlock <= last; j += kBlock) GatherPixels<kBlock>(g, i, j, all);
  for (; j < g.w.points; ++j) GatherPixels<1>(g, i, j, TapsInside(g.w, j, g.width));
}

// Channels [first_channel, last_channel) of one row, but for activations that are no clamps.
void ForwardRow(const DepthwiseArgs& a, int64_t row, int64_t first_channel, int64_t last_channel) {
  const int64_t n = row / a.out_h, i = row % a.out_h;
  GatherRow g{};
  g.first_channel = first_channel;
  g.last_channel = last_channel;
  g.from_memory = a.FromMemory();
  g.h = ForwardLine(a.out_h, a.kernel_h, a.stride_h, a.pad_top, a.dilation_h);
  g.w = ForwardLine(a.out_w, a.kernel_w, a.stride_w, a.pad_left, a.dilation_w);
  g.height = a.in_h;
  g.width = a.in_w;
  g.channels = a.channels;
  g.kernel_w = a.kernel_w;
  g.from = a.x + n * a.in_h * a.in_w * a.channels;
  g.weights = a.w;
  g.bias = a.bias;
  g.to = a.y + row * a.out_w * a.channels;
  g.bounds = BoundsOf(a.act);
  GatherAll(g, i);
}

void ForwardWholeRow(const DepthwiseArgs& a, int64_t row) {
  ForwardRow(a, row, 0, a.channels);
  const int64_t floats = a.out_w * a.channels;
  if (!IsClamp(a.act)) ActInPlace(a.act, a.y + row * floats, floats);
}

// y lies at the start of x: rows go one after the other, since each overwrites pixels that only
// those before it read (MayLieOver).
void ForwardInPlace(const DepthwiseArgs& a, int64_t first_channel, int64_t last_channel) {
  for (int64_t row = 0; row < a.batch * a.out_h; ++row) {
    ForwardRow(a, row, first_channel, last_channel);
  }
}

void GradInputRow(const DepthwiseArgs& a, int64_t row) {
  const int64_t n = row / a.in_h, h = row % a.in_h;
  GatherRow g{};
  g.h = GradLine(h % a.stride_h, a.in_h, a.kernel_h, a.stride_h, a.pad_top, a.dilation_h);
  g.height = a.out_h;
  g.width = a.out_w;
  g.channels = g.last_channel = a.channels;
  g.from_memory = a.FromMemory();
  g.kernel_w = a.kernel_w;
  g.from = a.dy + n * a.out_h * a.out_w * a.channels;
  g.weights = a.w;
  g.to = a.dx + row * a.in_w * a.channels;
  if (a.stride_w == 2 && a.dilation_w == 1) {
    // All columns at once: as with stride 1, but for positions between pixels.
    g.w = GradLine(0, a.in_w, a.kernel_w, 1, a.pad_left, 1);
    g.apart = 2;
    if (SlideRow(g, h / a.stride_h)) return;
  }
  g.apart = 1;
  for (int64_t phase = 0; phase < std::min(a.stride_w, a.in_w); ++phase) {
    g.w = GradLine(phase, a.in_w, a.kernel_w, a.stride_w, a.pad_left, a.dilation_w);
    GatherAll(g, h / a.stride_h);
  }
}

// to[t * tap_step + c] += sum over points j of dy[j * channels + c] * x[j * next + t * step + c]
// for kTaps neighbouring taps and all channels c.
template <int kTaps>
void CorrelateVectors(const float* dy, const float* x, int64_t points, int64_t channels,
                      int64_t next, int64_t step, float* to) {
  const F32 d;
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    VF sum[kTaps];
    PT_UNROLL for (int t = 0; t < kTaps; ++t) sum[t] = hn::LoadU(d, to + t * channels + c);
    for (int64_t j = 0; j < points; ++j) {
      const VF g = hn::LoadU(d, dy + j * channels + c);
      PT_UNROLL for (int t = 0; t < kTaps; ++t) {
        sum[t] = hn::MulAdd(g, hn::LoadU(d, x + j * next + t * step + c), sum[t]);
      }
    }
    PT_UNROLL for (int t = 0; t < kTaps; ++t) hn::StoreU(sum[t], d, to + t * channels + c);
  }
  if (c == channels) return;
  const int64_t rest = channels - c;
  VF sum[kTaps];
  PT_UNROLL for (int t = 0; t < kTaps; ++t) sum[t] = LoadSome(to + t * channels + c, rest);
  for (int64_t j = 0; j < points; ++j) {
    const VF g = LoadSome(dy + j * channels + c, rest);
    PT_UNROLL for (int t = 0; t < kTaps; ++t) {
      sum[t] = hn::MulAdd(g, LoadSome(x + j * next + t * step + c, rest), sum[t]);
    }
  }
  PT_UNROLL for (int t = 0; t < kTaps; ++t) StoreSome(sum[t], to + t * channels + c, rest);
}

// One row of dy against one row of x, kTaps taps from `tap` on: first the points that lie inside
// for all of them, then those that do for some.
template <int kTaps>
HWY_INLINE void CorrelateRow(const DepthwiseArgs& a, const TapLine& line, int64_t tap,
                             const float* dy, const float* x, float* to) {
  const int64_t next = a.stride_w * a.channels;
  const int64_t step = a.dilation_w * a.channels;
  const float* x_tap = x + (line.origin + tap * line.step) * a.channels;
  const int64_t first = PointsInside(line, tap, a.in_w).first;
  const int64_t last = std::max(first, PointsInside(line, tap + kTaps - 1, a.in_w).last);
  CorrelateVectors<kTaps>(dy + first * a.channels, x_tap + first * next, last - first, a.channels,
                          next, step, to);
  if (kTaps == 1) return;
  for (int t = 0; t < kTaps; ++t) {
    const PointRange range = PointsInside(line, tap + t, a.in_w);
    const int64_t before = std::min(first, range.last);
    const int64_t after = std::max(last, range.first);
    CorrelateVectors<1>(dy + range.first * a.channels, x_tap + range.first * next + t * step,
                        before - range.first, a.channels, next, step, to + t * a.channels);
    CorrelateVectors<1>(dy + after * a.channels, x_tap + after * next + t * step,
                        range.last - after, a.channels, next, step, to + t * a.channels);
  }
}

// Sum over the rows of dy in [first, last) (rows count through all images), into `to`.
void GradFilterRows(const DepthwiseArgs& a, int64_t first, int64_t last, float* to) {
  const TapLine h = ForwardLine(a.out_h, a.kernel_h, a.stride_h, a.pad_top, a.dilation_h);
  const TapLine w = ForwardLine(a.out_w, a.kernel_w, a.stride_w, a.pad_left, a.dilation_w);
  if (h.taps == 3 && w.taps == 3 && w.step == 1 && w.stride <= 2) {
    return w.stride == 1 ? SlideFilterRows<Slide<3, 3, 1, 1>>(a, first, last, to)
                         : SlideFilterRows<Slide<3, 3, 1, 2>>(a, first, last, to);
  }
  ZeroFloats(to, a.kernel_h * a.kernel_w * a.channels);
  for (int64_t row = first; row < last; ++row) {
    const int64_t n = row / a.out_h, i = row % a.out_h;
    const TapRange taps = TapsInside(h, i, a.in_h);
    const float* dy = a.dy + row * a.out_w * a.channels;
    for (int64_t s = taps.first; s < taps.last; ++s) {
      const int64_t in_row = n * a.in_h + i * h.stride + h.origin + s * h.step;
      const float* x = a.x + in_row * a.in_w * a.channels;
      float* row_to = to + s * a.kernel_w * a.channels;
      int64_t t = 0;
      for (; t + 4 <= a.kernel_w; t += 4) {
        CorrelateRow<4>(a, w, t, dy, x, row_to + t * a.channels);
      }
      if (a.kernel_w - t == 3) CorrelateRow<3>(a, w, t, dy, x, row_to + t * a.channels);
      if (a.kernel_w - t == 2) CorrelateRow<2>(a, w, t, dy, x, row_to + t * a.channels);
      if (a.kernel_w - t == 1) CorrelateRow<1>(a, w, t, dy, x, row_to + t * a.channels);
    }
  }
}

// dw [c0, c1) = sum of the partial results, in order.
void AddPartials(const DepthwiseArgs& a, int64_t parts, const float* partial, int64_t c0,
                 int64_t c1) {
  const int64_t size = a.kernel_h * a.kernel_w * a.channels;
  ForEachVector(c1 - c0, [&](const auto& access, int64_t i) HWY_ATTR {
    VF sum = access.Load(partial + c0 + i);
    for (int64_t p = 1; p < parts; ++p) {
      sum = hn::Add(sum, access.Load(partial + p * size + c0 + i));
    }
    access.Store(sum, a.dw + c0 + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {

HWY_EXPORT(ForwardWholeRow);
HWY_EXPORT(ForwardInPlace);
HWY_EXPORT(GradInputRow);
HWY_EXPORT(GradFilterRows);
HWY_EXPORT(AddPartials);

namespace {

// Work items of the filter gradient, each with a partial sum: a function of the shape alone.
int64_t PartsOf(const DepthwiseArgs& a) {
  constexpr int64_t kMaxParts = 16;
  constexpr int64_t kMaxPartialFloats = 1 << 17;
  const int64_t size = a.kernel_h * a.kernel_w * a.channels;
  const int64_t rows = a.batch * a.out_h;
  return std::max<int64_t>(1, std::min({kMaxParts, rows, kMaxPartialFloats / size}));
}

// Rows of a result that make a work item: few enough items that handing them out does not show, a
// function of the shape alone.
int64_t RowsOfItem(int64_t rows, int64_t row_floats) {
  constexpr int64_t kWantedItems = 32, kItemFloats = 1 << 13;
  row_floats = std::max<int64_t>(1, row_floats);
  return std::clamp<int64_t>(rows / kWantedItems, 1,
                             std::max<int64_t>(1, kItemFloats / row_floats));
}

// fn(row) for all rows of a result.
template <typename Fn>
void ForEachRow(int64_t rows, int64_t row_floats, ThreadPool* pool, const Fn& fn) {
  const int64_t step = RowsOfItem(rows, row_floats);
  pool->ParallelFor(CeilDiv(rows, step), [&](int64_t item, int) {
    const int64_t last = std::min(rows, (item + 1) * step);
    for (int64_t row = item * step; row < last; ++row) fn(row);
  });
}

// Channels do not meet: they are what may run at once.
void RunInPlace(const DepthwiseArgs& a, ThreadPool* pool) {
  constexpr int64_t kLine = 16;  // channels of a pixel that share a line of the cache
  const int64_t block = pool->slots() == 1 ? a.channels : kLine;
  pool->ParallelFor(CeilDiv(a.channels, block), [&](int64_t i, int) {
    HWY_DYNAMIC_DISPATCH(ForwardInPlace)
    (a, i * block, std::min(a.channels, (i + 1) * block));
  });
}

}  // namespace

void RunDepthwiseConv2d(const KernelArgs& args) {
  const ConvAttrs& attrs = args.Attr<ConvAttrs>();
  DepthwiseArgs a =
      DepthwiseSizes(args.operands[0].shape, args.operands[1].shape, args.results[0].shape, attrs);
  a.x = args.operands[0].as<float>();
  a.w = args.operands[1].as<float>();
  a.bias = args.operands.size() > 2 ? args.operands[2].as<float>() : nullptr;
  a.y = args.results[0].as<float>();
  a.act = attrs.act;
  if (a.y == a.x) return RunInPlace(a, args.pool);
  ForEachRow(a.batch * a.out_h, a.out_w * a.channels, args.pool, [&](int64_t row) {
    HWY_DYNAMIC_DISPATCH(ForwardWholeRow)(a, row);
  });
}

void RunDepthwiseConv2dGradInput(const KernelArgs& args) {
  DepthwiseArgs a = DepthwiseSizes(args.results[0].shape, args.operands[1].shape,
                                   args.operands[0].shape, args.Attr<ConvGradAttrs>());
  a.dy = args.operands[0].as<float>();
  a.w = args.operands[1].as<float>();
  a.dx = args.results[0].as<float>();
  ForEachRow(a.batch * a.in_h, a.in_w * a.channels, args.pool, [&](int64_t row) {
    HWY_DYNAMIC_DISPATCH(GradInputRow)(a, row);
  });
}

int64_t ScratchDepthwiseConv2dGradFilter(const KernelQuery& query) {
  const DepthwiseArgs a =
      DepthwiseSizes(query.operands[1].shape, query.results[0].shape, query.operands[0].shape,
                     std::get<ConvGradAttrs>(*query.attrs));
  return int64_t{sizeof(float)} * PartsOf(a) * a.kernel_h * a.kernel_w * a.channels;
}

void RunDepthwiseConv2dGradFilter(const KernelArgs& args) {
  DepthwiseArgs a = DepthwiseSizes(args.operands[1].shape, args.results[0].shape,
                                   args.operands[0].shape, args.Attr<ConvGradAttrs>());
  a.dy = args.operands[0].as<float>();
  a.x = args.operands[1].as<float>();
  a.dw = args.results[0].as<float>();
  float* partial = static_cast<float*>(args.scratch);
  const int64_t size = a.kernel_h * a.kernel_w * a.channels;
  const int64_t rows = a.batch * a.out_h;
  const int64_t parts = PartsOf(a);
  args.pool->ParallelFor(parts, [&](int64_t part, int) {
    HWY_DYNAMIC_DISPATCH(GradFilterRows)
    (a, rows * part / parts, rows * (part + 1) / parts, partial + part * size);
  });
  constexpr int64_t kChunk = 4096;
  args.pool->ParallelFor(CeilDiv(size, kChunk), [&](int64_t chunk, int) {
    HWY_DYNAMIC_DISPATCH(AddPartials)
    (a, parts, partial, chunk * kChunk, std::min(size, (chunk + 1) * kChunk));
  });
}

}  // namespace pocketune
#endif
