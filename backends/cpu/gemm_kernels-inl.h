// The inner parts of the matrix product, per instruction set: packing of operands into panels, the
// register-blocked micro-kernel, dot products for few rows.
#if defined(POCKETUNE_GEMM_KERNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_GEMM_KERNELS_INL_H_
#undef POCKETUNE_GEMM_KERNELS_INL_H_
#else
#define POCKETUNE_GEMM_KERNELS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "backends/cpu/gemm.h"
#include "backends/cpu/gemm_blocking.h"
#include "backends/cpu/kernels/math-inl.h"
#include "hwy/highway.h"

// Loops over registers must disappear, else the accumulators live in memory.
#ifdef __clang__
#define PT_UNROLL _Pragma("unroll")
#else
#define PT_UNROLL _Pragma("GCC unroll 16")
#endif

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Quad = hn::FixedTag<float, 4>;

// Micro-kernel: up to kMr rows by kNv vectors of C in registers, kMrDeep rows where each row of A
// is read through a pointer of its own. Panels of A are kAStride floats wide so that rows are
// packed four at a time.
#if HWY_TARGET == HWY_AVX3
inline constexpr int kMr = 14, kMrDeep = 8, kNv = 2, kLanes = 16;
#elif HWY_TARGET == HWY_AVX2
inline constexpr int kMr = 6, kMrDeep = 6, kNv = 2, kLanes = 8;
#elif HWY_TARGET == HWY_NEON
inline constexpr int kMr = 8, kMrDeep = 8, kNv = 3, kLanes = 4;
#else
inline constexpr int kMr = 6, kMrDeep = 6, kNv = 2, kLanes = 4;
#endif
inline constexpr int kNr = kNv * kLanes;
inline constexpr int kAStride = (kMr + 3) / 4 * 4;
static_assert(kAStride <= kGemmMaxPanelRows && kMr % 2 == 0 && kMrDeep % 2 == 0);

HWY_INLINE void CopyFloats(const float* HWY_RESTRICT from, float* HWY_RESTRICT to, int64_t count) {
  const F32 d;
  const Quad d4;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
  for (; i + 4 <= count; i += 4) hn::StoreU(hn::LoadU(d4, from + i), d4, to + i);
  for (; i < count; ++i) to[i] = from[i];
}

HWY_INLINE void ZeroFloats(float* to, int64_t count) {
  const F32 d;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(hn::Zero(d), d, to + i);
  for (; i < count; ++i) to[i] = 0.0f;
}

// Rows of A for one tile: (r, k) at data[r * step + k] where `deep`, else at data[k * step + r].
// Deep rows may be interrupted: after each `run` values the next stand run_step floats on. They may
// start anywhere: at starts[r].
struct TileRows {
  const float* data;
  int64_t step;
  bool deep;
  int64_t run = 0, run_step = 0;  // 0: all in one run
  const float* const* starts = nullptr;
};

// A point of a grid, walked in order.
struct GridCursor {
  const PatchGrid& g;
  int64_t n, i, j;

  GridCursor(const PatchGrid& grid, int64_t point)
      : g(grid),
        n(point / (grid.rows * grid.cols)),
        i(point / grid.cols % grid.rows),
        j(point % grid.cols) {}
  void Next() {
    if (++j < g.cols) return;
    j = 0;
    if (++i < g.rows) return;
    i = 0;
    ++n;
  }
};

// Where in a patch a range of (tap, channel) indices starts.
struct PatchOffset {
  int64_t s, t, channel;

  PatchOffset(const PatchGrid& g, int64_t index)
      : s(index / (g.channels * g.taps_w)),
        t(index / g.channels % g.taps_w),
        channel(index % g.channels) {}
};

// Does the whole patch at `at` lie inside the image, each of its rows in one piece?
HWY_INLINE bool IsWhole(const GridCursor& at) {
  const PatchGrid& g = at.g;
  const int64_t h = at.i * g.stride_h + g.origin_h;
  const int64_t w = at.j * g.stride_w + g.origin_w;
  return g.step_w == 1 && g.pixel == g.channels && h >= 0 && w >= 0 &&
         h + (g.taps_h - 1) * g.step_h < g.height && w + g.taps_w <= g.width;
}

HWY_INLINE const float* PatchStart(const float* image, const GridCursor& at) {
  const PatchGrid& g = at.g;
  const int64_t h = at.i * g.stride_h + g.origin_h;
  const int64_t w = at.j * g.stride_w + g.origin_w;
  return image + ((at.n * g.height + h) * g.width + w) * g.pixel;
}

// Writes `count` values of the patch at `at`, beginning at `from`.
HWY_INLINE void GatherPatch(const float* image, const GridCursor& at, PatchOffset from,
                            int64_t count, float* HWY_RESTRICT to) {
  const PatchGrid& g = at.g;
  const int64_t h0 = at.i * g.stride_h + g.origin_h;
  const int64_t w0 = at.j * g.stride_w + g.origin_w;
  const bool dense = g.step_w == 1 && g.pixel == g.channels;
  const float* base = image + at.n * g.height * g.width * g.pixel;
  while (count > 0) {
    const int64_t h = h0 + from.s * g.step_h;
    const int64_t w = w0 + from.t * g.step_w;
    int64_t taps = 1;  // that one run covers
    bool inside = false;
    if (h < 0 || h >= g.height) {
      taps = g.taps_w - from.t;
    } else if (w >= 0 && w < g.width) {
      inside = true;
      if (dense) taps = std::min(g.taps_w - from.t, g.width - w);
    }
    const int64_t run = std::min(taps * g.channels - from.channel, count);
    if (inside) {
      CopyFloats(base + (h * g.width + w) * g.pixel + from.channel, to, run);
    } else {
      ZeroFloats(to, run);
    }
    to += run;
    count -= run;
    from.channel = 0;
    from.t += taps;
    if (from.t == g.taps_w) {
      from.t = 0;
      ++from.s;
    }
  }
}

// Values [k0, k0 + kc) of the patches of `rows` grid points from i0 on, `step` floats from one to
// the next.
HWY_INLINE void GatherPatches(const PatchGrid& grid, const float* image, int64_t i0, int64_t rows,
                              int64_t k0, int64_t kc, int64_t step, float* HWY_RESTRICT to) {
  GridCursor at(grid, i0);
  const PatchOffset from(grid, k0);
  const int64_t run = grid.taps_w * grid.channels;
  const bool all = kc == grid.taps_h * run;
  for (int64_t r = 0; r < rows; ++r, at.Next(), to += step) {
    if (!all || !IsWhole(at)) {
      GatherPatch(image, at, from, kc, to);
      continue;
    }
    const float* patch = PatchStart(image, at);
    for (int64_t s = 0; s < grid.taps_h; ++s) {
      CopyFloats(patch + s * grid.step_h * grid.width * grid.pixel, to + s * run, run);
    }
  }
}

// Whole patches of `rows` grid points from i0 on, read where they stand; data is null where one of
// them lies outside the image or the points are not neighbours.
HWY_INLINE TileRows PatchesInPlace(const PatchGrid& g, const float* image, int64_t i0,
                                   int64_t rows) {
  const GridCursor first(g, i0);
  if (first.j + rows > g.cols) return {nullptr, 0, true};
  GridCursor last = first;
  last.j += rows - 1;
  if (!IsWhole(first) || !IsWhole(last)) return {nullptr, 0, true};
  return {PatchStart(image, first), g.stride_w * g.pixel, true, g.taps_w * g.channels,
          g.step_h * g.width * g.pixel};
}

// to[k * stride + r] = rows[r][k] for r < stride, k < count; stride is a multiple of four.
HWY_INLINE void TransposeRows(const float* const* rows, int64_t count, int stride,
                              float* HWY_RESTRICT to) {
  const Quad d;
  for (int r = 0; r < stride; r += 4) {
    const float* const r0 = rows[r];
    const float* const r1 = rows[r + 1];
    const float* const r2 = rows[r + 2];
    const float* const r3 = rows[r + 3];
    float* out = to + r;
    int64_t k = 0;
    for (; k + 4 <= count; k += 4, out += 4 * stride) {
      const auto v0 = hn::LoadU(d, r0 + k);
      const auto v1 = hn::LoadU(d, r1 + k);
      const auto v2 = hn::LoadU(d, r2 + k);
      const auto v3 = hn::LoadU(d, r3 + k);
      const auto even_low = hn::InterleaveLower(d, v0, v2);
      const auto odd_low = hn::InterleaveLower(d, v1, v3);
      const auto even_high = hn::InterleaveUpper(d, v0, v2);
      const auto odd_high = hn::InterleaveUpper(d, v1, v3);
      hn::StoreU(hn::InterleaveLower(d, even_low, odd_low), d, out);
      hn::StoreU(hn::InterleaveUpper(d, even_low, odd_low), d, out + stride);
      hn::StoreU(hn::InterleaveLower(d, even_high, odd_high), d, out + 2 * stride);
      hn::StoreU(hn::InterleaveUpper(d, even_high, odd_high), d, out + 3 * stride);
    }
    for (; k < count; ++k, out += stride) {
      out[0] = r0[k];
      out[1] = r1[k];
      out[2] = r2[k];
      out[3] = r3[k];
    }
  }
}

// Copies `width` values to the start of a panel row of kStride, the rest becomes zero.
template <int kStride>
HWY_INLINE void CopyPanelRow(const float* HWY_RESTRICT from, int64_t width,
                             float* HWY_RESTRICT to) {
  static_assert(kStride % kLanes == 0);
  const F32 d;
  PT_UNROLL for (int i = 0; i < kStride; i += kLanes) {
    if (width >= i + kLanes) {
      hn::StoreU(hn::LoadU(d, from + i), d, to + i);
    } else {
      hn::StoreU(width > i ? LoadSome(from + i, width - i) : hn::Zero(d), d, to + i);
    }
  }
}

// Panel rows of grid points from `at` on where the panel lies within one tap: the usual case of
// many channels, without GatherPatch's bookkeeping.
template <int kStride>
HWY_INLINE void GatherOneTap(const float* image, GridCursor at, PatchOffset from, int64_t width,
                             int64_t points, float* HWY_RESTRICT to) {
  const PatchGrid& g = at.g;
  const int64_t h0 = g.origin_h + from.s * g.step_h;
  const int64_t w0 = g.origin_w + from.t * g.step_w;
  for (int64_t k = 0; k < points; ++k, at.Next(), to += kStride) {
    const int64_t h = h0 + at.i * g.stride_h;
    const int64_t w = w0 + at.j * g.stride_w;
    if (h < 0 || h >= g.height || w < 0 || w >= g.width) {
      ZeroFloats(to, kStride);
      continue;
    }
    const int64_t pixel = (at.n * g.height + h) * g.width + w;
    CopyPanelRow<kStride>(image + pixel * g.pixel + from.channel, width, to);
  }
}

// Packs rows of A (columns of B) [i0, i0 + kStride), of which those from `end` on do not exist, for
// k in [k0, k0 + kc) as to[kc][kStride]. What stands in missing places is never stored to C.
template <int kStride>
void PackPanel(const GemmOperand& o, const float* data, int64_t i0, int64_t end, int64_t k0,
               int64_t kc, float* gather, float* HWY_RESTRICT to) {
  const int64_t width = std::min<int64_t>(kStride, end - i0);
  switch (o.kind) {
    case GemmOperand::Kind::kDepthMajor: {
      const float* rows[kStride];
      for (int r = 0; r < kStride; ++r) {
        rows[r] = data + (i0 + std::min<int64_t>(r, width - 1)) * o.ld + k0;
      }
      TransposeRows(rows, kc, kStride, to);
      return;
    }
    case GemmOperand::Kind::kAcrossMajor:
      for (int64_t k = 0; k < kc; ++k) {
        CopyPanelRow<kStride>(data + (k0 + k) * o.ld + i0, width, to + k * kStride);
      }
      return;
    case GemmOperand::Kind::kTaps:
      for (int64_t k = 0; k < kc; ++k) {
        const int64_t tap = (k0 + k) / o.inner;
        const int64_t row = (k0 + k) % o.inner;
        const float* from =
            data + row * o.ld + tap / o.taps_t * o.step_s + tap % o.taps_t * o.step_t;
        CopyPanelRow<kStride>(from + i0, width, to + k * kStride);
      }
      return;
    case GemmOperand::Kind::kPatches: {
      GatherPatches(o.grid, data, i0, width, k0, kc, kc, gather);
      const float* rows[kStride];
      for (int r = 0; r < kStride; ++r) rows[r] = gather + std::min<int64_t>(r, width - 1) * kc;
      TransposeRows(rows, kc, kStride, to);
      return;
    }
    case GemmOperand::Kind::kPatchesAcross: {
      GridCursor at(o.grid, k0);
      const PatchOffset from(o.grid, i0);
      if (from.channel + width <= o.grid.channels) {
        GatherOneTap<kStride>(data, at, from, width, kc, to);
        return;
      }
      for (int64_t k = 0; k < kc; ++k, at.Next()) {
        GatherPatch(data, at, from, width, to + k * kStride);
        ZeroFloats(to + k * kStride + width, kStride - width);
      }
      return;
    }
    case GemmOperand::Kind::kPanels:
      return;  // never packed again
  }
}

// Reads row r of the k at hand, then moves on to the next k, or to the next run.
template <int kRows>
struct AcrossCursor {
  const float* at;
  int64_t step;
  AcrossCursor(const TileRows& a, int64_t) : at(a.data), step(a.step) {}
  HWY_INLINE float operator[](int r) const { return at[r]; }
  HWY_INLINE void Next() { at += step; }
  HWY_INLINE void NextRun(int64_t) {}
};
template <int kRows>
struct DeepCursor {
  const float* rows[kRows];
  int64_t k = 0;
  DeepCursor(const TileRows& a, int64_t valid) {
    PT_UNROLL for (int r = 0; r < kRows; ++r) {
      const int64_t row = r < valid ? r : valid - 1;
      rows[r] = a.starts != nullptr ? a.starts[row] : a.data + row * a.step;
    }
  }
  HWY_INLINE float operator[](int r) const { return rows[r][k]; }
  HWY_INLINE void Next() { ++k; }
  HWY_INLINE void NextRun(int64_t run_step) {
    k = 0;
    PT_UNROLL for (int r = 0; r < kRows; ++r) rows[r] += run_step;
  }
};

// Where tiles one below the other go, each of `rows` rows and `cols` columns: row r of all starts
// at c[r] + column. The sums are added to what stands there, or start from bias[0, cols) unless
// null, and are clamped in the end.
struct TileOutput {
  float* const* c;
  int64_t column;
  int64_t rows, cols;
  bool accumulate;
  const float* bias;
  Bounds bounds;
};

// Writes one row of a tile to `to`. The last vector may be a part.
template <class D, int kVecs>
HWY_INLINE void StoreRow(D d, hn::Vec<D> (&sum)[kVecs], float* to, const TileOutput& out) {
  constexpr int64_t kStep = hn::MaxLanes(D());
  constexpr int64_t kLast = (kVecs - 1) * kStep;
  const int64_t rest = out.cols - kLast;
  const bool whole = rest == kStep;
  if (out.accumulate) {
    PT_UNROLL for (int v = 0; v < kVecs - 1; ++v) {
      sum[v] = hn::Add(sum[v], hn::LoadU(d, to + v * kStep));
    }
    const auto before = whole ? hn::LoadU(d, to + kLast) : LoadSome(to + kLast, rest, d);
    sum[kVecs - 1] = hn::Add(sum[kVecs - 1], before);
  }
  PT_UNROLL for (int v = 0; v < kVecs; ++v) sum[v] = out.bounds(d, sum[v]);
  PT_UNROLL for (int v = 0; v < kVecs - 1; ++v) hn::StoreU(sum[v], d, to + v * kStep);
  if (whole) {
    hn::StoreU(sum[kVecs - 1], d, to + kLast);
  } else {
    StoreSome(sum[kVecs - 1], to + kLast, rest, d);
  }
}

// The same for out.rows rows from memory, kVecs vectors each.
template <class D, int kVecs>
HWY_NOINLINE void StoreRows(const float* sums, const TileOutput& out) {
  const D d;
  constexpr int64_t kStep = hn::MaxLanes(D());
  for (int64_t r = 0; r < out.rows; ++r, sums += kVecs * kStep) {
    hn::Vec<D> row[kVecs];
    PT_UNROLL for (int v = 0; v < kVecs; ++v) row[v] = hn::Load(d, sums + v * kStep);
    StoreRow(d, row, out.c[r] + out.column, out);
  }
}

// Writes sum[r][v] to row r, vector v.
template <class D, int kRows, int kVecs>
HWY_INLINE void StoreTile(D d, hn::Vec<D> (&sum)[kRows][kVecs], const TileOutput& out) {
#ifdef POCKETUNE_SMALL_CODE
  // One way through memory for tiles of any number of rows.
  constexpr int kStep = hn::MaxLanes(D());
  HWY_ALIGN float sums[kRows * kVecs * kStep];
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    PT_UNROLL for (int v = 0; v < kVecs; ++v) {
      hn::Store(sum[r][v], d, sums + (r * kVecs + v) * kStep);
    }
  }
  StoreRows<D, kVecs>(sums, out);
#else
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    if (r >= out.rows) return;
    StoreRow(d, sum[r], out.c[r] + out.column, out);
  }
#endif
}

// What a tile's sums start from.
template <class D, int kRows, int kVecs>
HWY_INLINE void StartTile(D d, const TileOutput& out, hn::Vec<D> (&sum)[kRows][kVecs]) {
  constexpr int64_t kStep = hn::MaxLanes(D());
  hn::Vec<D> start[kVecs];
  PT_UNROLL for (int v = 0; v < kVecs; ++v) start[v] = hn::Zero(d);
  if (out.bias != nullptr && !out.accumulate) {
    PT_UNROLL for (int v = 0; v < kVecs; ++v) {
      const int64_t rest = out.cols - v * kStep;
      start[v] = rest >= kStep ? hn::LoadU(d, out.bias + v * kStep)
                               : LoadSome(out.bias + v * kStep, rest, d);
    }
  }
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    PT_UNROLL for (int v = 0; v < kVecs; ++v) sum[r][v] = start[v];
  }
}

// The sum over kc values of k of A's rows times b[k * b_step], kRows rows and kVecs vectors of D.
template <class D, template <int> class Cursor, int kRows, int kVecs>
HWY_INLINE void Tile(const TileRows& a, const float* HWY_RESTRICT b, int64_t b_step, int64_t kc,
                     const TileOutput& out) {
  const D d;
  constexpr int kStep = hn::MaxLanes(D());
  hn::Vec<D> sum[kRows][kVecs];
  // The lines to be written come meanwhile.
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    const float* row = out.c[r < out.rows ? r : 0] + out.column;
    PT_UNROLL for (int v = 0; v < kVecs; ++v) __builtin_prefetch(row + v * kStep, 1);
  }
  StartTile(d, out, sum);
  Cursor<kRows> at(a, out.rows);
  const int64_t run = a.run > 0 ? a.run : kc;
  for (int64_t k0 = 0; k0 < kc; k0 += run, at.NextRun(a.run_step)) {
    for (int64_t k = 0; k < run; ++k, at.Next(), b += b_step) {
      hn::Vec<D> bv[kVecs];
      PT_UNROLL for (int v = 0; v < kVecs; ++v) bv[v] = hn::LoadU(d, b + v * kStep);
      PT_UNROLL for (int r = 0; r < kRows; ++r) {
        const hn::Vec<D> av = hn::Set(d, at[r]);
        PT_UNROLL for (int v = 0; v < kVecs; ++v) sum[r][v] = hn::MulAdd(av, bv[v], sum[r][v]);
      }
    }
  }
  StoreTile(d, sum, out);
}

// Tiles for a[0, tiles), one below the other.
template <class D, template <int> class Cursor, int kRows, int kVecs>
HWY_NOINLINE void Tiles(const TileRows* a, int64_t tiles, const float* HWY_RESTRICT b,
                        int64_t b_step, int64_t kc, TileOutput out) {
  for (int64_t i = 0; i < tiles; ++i, out.c += out.rows) {
    Tile<D, Cursor, kRows, kVecs>(a[i], b, b_step, kc, out);
  }
}

using TilesFn = void (*)(const TileRows*, int64_t, const float*, int64_t, int64_t, TileOutput);

// The tile of the least even number of rows that holds `rows`.
template <class D, template <int> class Cursor, int kVecs, int kMost, int kRows = 2>
HWY_INLINE TilesFn TileOfRows(int64_t rows) {
  if constexpr (kRows >= kMost) {
    return &Tiles<D, Cursor, kMost, kVecs>;
  } else {
    if (rows <= kRows) return &Tiles<D, Cursor, kRows, kVecs>;
    return TileOfRows<D, Cursor, kVecs, kMost, kRows + 2>(rows);
  }
}

// Columns that half a vector holds take half the time where a whole one is done in two halves.
template <template <int> class Cursor, int kMost>
HWY_INLINE TilesFn TileFor(int64_t rows, int64_t cols) {
  using Narrow = hn::CappedTag<float, 8>;
  if (kLanes > 8 && cols <= 8) return TileOfRows<Narrow, Cursor, 1, kMost>(rows);
  if (cols <= kLanes) return TileOfRows<F32, Cursor, 1, kMost>(rows);
  if (kNv == 3 && cols <= 2 * kLanes) return TileOfRows<F32, Cursor, 2, kMost>(rows);
  return TileOfRows<F32, Cursor, kNv, kMost>(rows);
}

// Tiles of C for a[0, tiles), all deep or none: out.rows <= kMr (kMrDeep) and out.cols <= kNr. b is
// readable in whole vectors.
HWY_INLINE void RunTiles(const TileRows* a, int64_t tiles, const float* b, int64_t b_step,
                         int64_t kc, const TileOutput& out) {
  if (tiles == 0) return;
  const TilesFn run = a->deep ? TileFor<DeepCursor, kMrDeep>(out.rows, out.cols)
                              : TileFor<AcrossCursor, kMr>(out.rows, out.cols);
  run(a, tiles, b, b_step, kc, out);
}

// Rows of the tiles, at most `most`, that cut `rows` evenly.
HWY_INLINE int64_t TileHeight(int64_t rows, int64_t most) {
  return AlignUp(CeilDiv(rows, CeilDiv(rows, most)), 2);
}

// The tiles of `rows` rows, out.rows each, and a last one of what is left.
HWY_INLINE void RunRows(const TileRows* a, int64_t rows, const float* b, int64_t b_step, int64_t kc,
                        TileOutput out) {
  const int64_t full = rows / out.rows, rest = rows % out.rows;
  RunTiles(a, full, b, b_step, kc, out);
  if (rest == 0) return;
  out.c += full * out.rows;
  out.rows = rest;
  RunTiles(a + full, 1, b, b_step, kc, out);
}

// What less than a vector at the end of k adds to the totals [rows, cols] of a DotTile.
HWY_NOINLINE inline void AddDotTails(const float* a, int64_t lda, int rows, const float* b,
                                     int64_t ldb, int cols, int64_t k, float* totals) {
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < cols; ++j) {
      for (int64_t t = 0; t < k; ++t) totals[r * cols + j] += a[r * lda + t] * b[j * ldb + t];
    }
  }
}

// c[r * ldc + j] = dot(a + r * lda, b + j * ldb) over k (+ bias[j]) for kRows x kCols.
template <int kRows, int kCols>
HWY_INLINE void DotTile(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t k,
                        const float* bias, float* c, int64_t ldc) {
  const F32 d;
  VF sum[kRows][kCols];
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    PT_UNROLL for (int j = 0; j < kCols; ++j) sum[r][j] = hn::Zero(d);
  }
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    VF bv[kCols];
    PT_UNROLL for (int j = 0; j < kCols; ++j) bv[j] = hn::LoadU(d, b + j * ldb + i);
    PT_UNROLL for (int r = 0; r < kRows; ++r) {
      const VF av = hn::LoadU(d, a + r * lda + i);
      PT_UNROLL for (int j = 0; j < kCols; ++j) sum[r][j] = hn::MulAdd(av, bv[j], sum[r][j]);
    }
  }
  float totals[kRows * kCols];
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    PT_UNROLL for (int j = 0; j < kCols; ++j) {
      totals[r * kCols + j] = hn::GetLane(hn::SumOfLanes(d, sum[r][j]));
    }
  }
  if (i < k) AddDotTails(a + i, lda, kRows, b + i, ldb, kCols, k - i, totals);
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    PT_UNROLL for (int j = 0; j < kCols; ++j) {
      c[r * ldc + j] = totals[r * kCols + j] + (bias != nullptr ? bias[j] : 0.0f);
    }
  }
}

template <int kCols>
HWY_INLINE void DotColumns(const float* a, int64_t lda, int64_t m, const float* b, int64_t ldb,
                           int64_t k, const float* bias, float* c, int64_t ldc) {
  int64_t r = 0;
  for (; r + 4 <= m; r += 4) {
    DotTile<4, kCols>(a + r * lda, lda, b, ldb, k, bias, c + r * ldc, ldc);
  }
  for (; r + 2 <= m; r += 2) {
    DotTile<2, kCols>(a + r * lda, lda, b, ldb, k, bias, c + r * ldc, ldc);
  }
  if (r < m) DotTile<1, kCols>(a + r * lda, lda, b, ldb, k, bias, c + r * ldc, ldc);
}

// The product of m <= kGemmDotRows rows with `columns` rows of b.
HWY_INLINE void DotProducts(const float* a, int64_t lda, int64_t m, const float* b, int64_t ldb,
                            int64_t columns, int64_t k, const float* bias, float* c, int64_t ldc) {
  constexpr int kWide = kLanes == 16 ? 4 : 2;  // with four rows, what the registers hold
  int64_t j = 0;
  for (; j + kWide <= columns; j += kWide) {
    DotColumns<kWide>(a, lda, m, b + j * ldb, ldb, k, bias != nullptr ? bias + j : nullptr, c + j,
                      ldc);
  }
  for (; j < columns; ++j) {
    DotColumns<1>(a, lda, m, b + j * ldb, ldb, k, bias != nullptr ? bias + j : nullptr, c + j, ldc);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#endif  // POCKETUNE_GEMM_KERNELS_INL_H_
