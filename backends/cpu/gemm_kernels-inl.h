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

using Floats = hn::ScalableTag<float>;
using FloatVec = hn::Vec<Floats>;
using Quad = hn::FixedTag<float, 4>;

// Micro-kernel: kMr rows by kNv vectors of C in registers. Panels of A are kAStride floats wide so
// that rows are packed four at a time.
#if HWY_TARGET == HWY_AVX3
inline constexpr int kMr = 14, kNv = 2, kLanes = 16;
#elif HWY_TARGET == HWY_AVX2
inline constexpr int kMr = 6, kNv = 2, kLanes = 8;
#elif HWY_TARGET == HWY_NEON
inline constexpr int kMr = 8, kNv = 3, kLanes = 4;
#else
inline constexpr int kMr = 6, kNv = 2, kLanes = 4;
#endif
inline constexpr int kNr = kNv * kLanes;
inline constexpr int kAStride = (kMr + 3) / 4 * 4;
static_assert(kAStride <= kGemmMaxPanelRows);

HWY_INLINE void CopyFloats(const float* HWY_RESTRICT from, float* HWY_RESTRICT to, int64_t count) {
  const Floats d;
  const Quad d4;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
  for (; i + 4 <= count; i += 4) hn::StoreU(hn::LoadU(d4, from + i), d4, to + i);
  for (; i < count; ++i) to[i] = from[i];
}

HWY_INLINE void ZeroFloats(float* to, int64_t count) {
  const Floats d;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(hn::Zero(d), d, to + i);
  for (; i < count; ++i) to[i] = 0.0f;
}

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
  if (width == kStride) {
    CopyFloats(from, to, kStride);
    return;
  }
  CopyFloats(from, to, width);
  ZeroFloats(to + width, kStride - width);
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
      const float* rows[kStride];
      GridCursor at(o.grid, i0);
      const PatchOffset from(o.grid, k0);
      for (int r = 0; r < kStride; ++r) {
        rows[r] = gather + std::min<int64_t>(r, width - 1) * kc;
        if (r >= width) continue;
        GatherPatch(data, at, from, kc, gather + r * kc);
        at.Next();
      }
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
  }
}

// c[r] = sum over k of a[k][r] * b[k] (+ c[r] if `accumulate`, else + bias if given) for kRows rows
// and kVecs vectors.
template <int kRows, int kVecs>
HWY_NOINLINE void Tile(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t kc,
                       float* const* c, int64_t column, bool accumulate, const float* bias) {
  const Floats d;
  FloatVec sum[kRows][kVecs];
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    PT_UNROLL for (int v = 0; v < kVecs; ++v) sum[r][v] = hn::Zero(d);
  }
  for (int64_t k = 0; k < kc; ++k, a += kAStride, b += kNr) {
    FloatVec bv[kVecs];
    PT_UNROLL for (int v = 0; v < kVecs; ++v) bv[v] = hn::LoadU(d, b + v * kLanes);
    PT_UNROLL for (int r = 0; r < kRows; ++r) {
      const FloatVec av = hn::Set(d, a[r]);
      PT_UNROLL for (int v = 0; v < kVecs; ++v) sum[r][v] = hn::MulAdd(av, bv[v], sum[r][v]);
    }
  }
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    float* out = c[r] + column;
    PT_UNROLL for (int v = 0; v < kVecs; ++v) {
      if (accumulate) {
        sum[r][v] = hn::Add(sum[r][v], hn::LoadU(d, out + v * kLanes));
      } else if (bias != nullptr) {
        sum[r][v] = hn::Add(sum[r][v], hn::LoadU(d, bias + v * kLanes));
      }
      hn::StoreU(sum[r][v], d, out + v * kLanes);
    }
  }
}

template <int kRows>
HWY_INLINE void TileOfRows(const float* a, const float* b, int64_t kc, float* const* c,
                           int64_t column, int vecs, bool accumulate, const float* bias) {
  if (vecs == 1) {
    Tile<kRows, 1>(a, b, kc, c, column, accumulate, bias);
  } else if (kNv == 3 && vecs == 2) {
    Tile<kRows, 2>(a, b, kc, c, column, accumulate, bias);
  } else {
    Tile<kRows, kNv>(a, b, kc, c, column, accumulate, bias);
  }
}

// One tile of C with rows <= kMr and cols <= kNr; the rows' addresses stand in c. Where the tile is
// not whole, it is computed into a buffer and its valid part is taken.
HWY_INLINE void TileAt(const float* a, const float* b, int64_t kc, float* const* c, int64_t rows,
                       int64_t column, int64_t cols, bool accumulate, const float* bias) {
  constexpr int kHalf = kMr / 2;
  const int vecs = static_cast<int>((cols + kLanes - 1) / kLanes);
  const bool whole = cols == vecs * kLanes && (rows == kMr || rows == kHalf);
  if (whole) {
    if (rows == kMr) {
      TileOfRows<kMr>(a, b, kc, c, column, vecs, accumulate, bias);
    } else {
      TileOfRows<kHalf>(a, b, kc, c, column, vecs, accumulate, bias);
    }
    return;
  }
  HWY_ALIGN float buffer[kMr * kNr];
  float* lines[kMr];
  for (int r = 0; r < kMr; ++r) lines[r] = buffer + r * kNr;
  if (rows <= kHalf) {
    TileOfRows<kHalf>(a, b, kc, lines, 0, vecs, false, nullptr);
  } else {
    TileOfRows<kMr>(a, b, kc, lines, 0, vecs, false, nullptr);
  }
  for (int64_t r = 0; r < rows; ++r) {
    float* out = c[r] + column;
    for (int64_t j = 0; j < cols; ++j) {
      out[j] = lines[r][j] + (accumulate ? out[j] : bias != nullptr ? bias[j] : 0.0f);
    }
  }
}

// c[r * ldc + j] = dot(a + r * lda, b + j * ldb) over k (+ bias[j]) for kRows x kCols.
template <int kRows, int kCols>
HWY_INLINE void DotTile(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t k,
                        const float* bias, float* c, int64_t ldc) {
  const Floats d;
  FloatVec sum[kRows][kCols];
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    PT_UNROLL for (int j = 0; j < kCols; ++j) sum[r][j] = hn::Zero(d);
  }
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    FloatVec bv[kCols];
    PT_UNROLL for (int j = 0; j < kCols; ++j) bv[j] = hn::LoadU(d, b + j * ldb + i);
    PT_UNROLL for (int r = 0; r < kRows; ++r) {
      const FloatVec av = hn::LoadU(d, a + r * lda + i);
      PT_UNROLL for (int j = 0; j < kCols; ++j) sum[r][j] = hn::MulAdd(av, bv[j], sum[r][j]);
    }
  }
  PT_UNROLL for (int r = 0; r < kRows; ++r) {
    PT_UNROLL for (int j = 0; j < kCols; ++j) {
      float total = hn::GetLane(hn::SumOfLanes(d, sum[r][j]));
      for (int64_t t = i; t < k; ++t) total += a[r * lda + t] * b[j * ldb + t];
      c[r * ldc + j] = total + (bias != nullptr ? bias[j] : 0.0f);
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
