#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/gemm.cc"
// clang-format off: first of all includes
#include "backends/cpu/hwy_common.h"
// clang-format on

#include <algorithm>

#include "backends/cpu/gemm.h"
#include "backends/cpu/gemm_blocking.h"
#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/patch_strip-inl.h"
#include "engine/base/math.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

HWY_INLINE float* RowOf(const GemmOutput& c, int64_t row) {
  const int64_t plane = c.rows * c.cols;
  return c.data + row / plane * c.step_n + row % plane / c.cols * c.step_i +
         row % c.cols * c.step_j;
}

// The starts of rows [m0, m1) of C. Divides once, not per row.
void FillRows(const GemmOutput& c, int64_t m0, int64_t m1, int64_t offset, float** rows) {
  int64_t j = m0 % c.cols, i = m0 / c.cols % c.rows;
  float* at = RowOf(c, m0) + offset;
  for (int64_t m = m0; m < m1; ++m, ++rows) {
    *rows = at;
    at += c.step_j;
    if (++j < c.cols) continue;
    at += c.step_i - c.cols * c.step_j;
    j = 0;
    if (++i < c.rows) continue;
    at += c.step_n - c.rows * c.step_i;
    i = 0;
  }
}

// One product: its shape, its cut and its places in scratch.
struct Product {
  const GemmProblem& p;
  GemmBlocking g;
  float* shared;
  float* partial;
  float* slots;

  Product(const GemmProblem& problem, void* scratch) : p(problem), g(BlockingOf(problem)) {
    shared = static_cast<float*>(scratch);
    partial = shared + g.shared_floats;
    slots = partial + g.partial_floats;
  }
};

// Rows of several panels that are packed at once: lines that the first-level cache holds however
// far apart they are.
inline constexpr int64_t kPackStep = 8;

// In whole packed B, of n columns, the panel of kNr of them that is kc deep from k0 on.
HWY_INLINE int64_t PanelOffset(int64_t n, int64_t k0, int64_t kc, int64_t panel) {
  return k0 * AlignUp(n, kNr) + panel * kc * kNr;
}

void PackWholePanel(const GemmProblem& p, const float* b, int64_t panel, float* to) {
  for (int64_t k0 = 0; k0 < p.k; k0 += kGemmKc) {
    const int64_t kc = std::min(kGemmKc, p.k - k0);
    PackPanel<kNr>(p.b, b, panel * kNr, p.n, k0, kc, nullptr, to + PanelOffset(p.n, k0, kc, panel));
  }
}

// Of all panels the rows [k, k_end) within a block of kGemmKc. A B stored [K,N] is read row by row,
// since memory comes fastest in its own order.
void PackWholeRows(const GemmProblem& p, const float* b, int64_t k, int64_t k_end, float* to) {
  const int64_t k0 = k / kGemmKc * kGemmKc;
  const int64_t kc = std::min(kGemmKc, p.k - k0);
  for (; k < k_end; k += kPackStep) {
    const int64_t count = std::min(kPackStep, k_end - k);
    for (int64_t panel = 0; panel < CeilDiv(p.n, kNr); ++panel) {
      PackPanel<kNr>(p.b, b, panel * kNr, p.n, k, count, nullptr,
                     to + PanelOffset(p.n, k0, kc, panel) + (k - k0) * kNr);
    }
  }
}

void PackAtLevel(const GemmProblem& p, float* to) {
  for (int64_t i = 0; i < p.batch; ++i) {
    for (int64_t panel = 0; panel < CeilDiv(p.n, kNr); ++panel) {
      PackWholePanel(p, p.b.data + i * p.b.batch_step, panel, to + i * PackedGemmFloats(p));
    }
  }
}

// A block of C: rows at `rows`, columns [n0, n1), summed over k in [k0, k1).
struct Block {
  const float* a;
  const float* b;  // whole packed B where the blocking has shared_b
  const float* bias;
  int64_t m0, m1, n0, n1, k0, k1;
  float* rows[kGemmMaxRows];
  const float* patches[kGemmMaxRows];  // where they start, if A's come from strips
};

bool ReadsDeep(const Product& x) {
  const GemmOperand::Kind kind = x.p.a.kind;
  return x.g.direct_a &&
         (kind == GemmOperand::Kind::kDepthMajor || kind == GemmOperand::Kind::kPatches);
}

// Neighbouring panels of an A stored [K,M] share lines and pages of memory.
bool PacksTogether(const Product& x) {
  return !x.g.direct_a && x.p.a.kind == GemmOperand::Kind::kAcrossMajor;
}

// Packs the panels of all rows of the block, `height` rows each, a few k at a time.
void PackPanels(const Product& x, const Block& t, int64_t height, int64_t k0, int64_t kc,
                float* to) {
  for (int64_t k = 0; k < kc; k += kPackStep) {
    const int64_t count = std::min(kPackStep, kc - k);
    float* panel = to + k * kAStride;
    for (int64_t m = t.m0; m < t.m1; m += height, panel += kc * kAStride) {
      PackPanel<kAStride>(x.p.a, t.a, m, std::min(m + height, t.m1), k0 + k, count, nullptr, panel);
    }
  }
}

// Rows of A from m on, k in [k0, k0 + kc), where they stand or brought to `to`.
TileRows RowsOfA(const Product& x, const Block& t, int64_t m, int64_t rows, int64_t k0, int64_t kc,
                 float* gather, float* to) {
  const GemmOperand& o = x.p.a;
  if (ReadsDeep(x)) {
    if (o.kind == GemmOperand::Kind::kDepthMajor) return {t.a + m * o.ld + k0, o.ld, true};
    if (x.g.strip_floats > 0) {
      return {nullptr,
              0,
              true,
              o.grid.taps_w * o.grid.channels,
              o.grid.step_h * StripOf(o.grid).pitch,
              t.patches + (m - t.m0)};
    }
    if (kc == x.p.k) {
      const TileRows patches = PatchesInPlace(o.grid, t.a, m, rows);
      if (patches.data != nullptr) return patches;
    }
    GatherPatches(o.grid, t.a, m, rows, k0, kc, kc, to);
    return {to, kc, true};
  }
  // A tile computes an even number of rows: the one beyond an odd number must exist.
  if (x.g.direct_a && o.kind == GemmOperand::Kind::kAcrossMajor && rows % 2 == 0) {
    return {t.a + k0 * o.ld + m, o.ld, false};
  }
  if (o.kind == GemmOperand::Kind::kPatchesAcross && x.g.patch_step > 0) {
    return {gather + m, x.g.patch_step, false};
  }
  if (!PacksTogether(x)) PackPanel<kAStride>(o, t.a, m, m + rows, k0, kc, gather, to);
  return {to, kAStride, false};
}

struct TileColumns {
  const float* data;
  int64_t step;  // from one k to the next
};

TileColumns ColumnsOfB(const Product& x, const Block& t, int64_t n, int64_t cols, int64_t k0,
                       int64_t kc, const float* gather, float* to) {
  if (x.g.shared_b) return {t.b + PanelOffset(x.p.n, k0, kc, n / kNr), kNr};
  const GemmOperand& o = x.p.b;
  if (o.kind == GemmOperand::Kind::kPatchesAcross && x.g.patch_step > 0) {
    return {gather + n, x.g.patch_step};
  }
  // Whole vectors alone can be read in place.
  const bool whole = cols % kLanes == 0 || cols == 8;
  if (x.g.direct_b && whole && o.kind == GemmOperand::Kind::kAcrossMajor) {
    return {t.b + k0 * o.ld + n, o.ld};
  }
  PackPanel<kNr>(o, t.b, n, n + cols, k0, kc, nullptr, to);
  return {to, kNr};
}

// The patches that a block of k meets, where whole ones are wanted.
void GatherSmallPatches(const Product& x, const Block& t, int64_t k0, int64_t kc, float* gather,
                        float* strip) {
  const bool of_a = x.p.a.kind == GemmOperand::Kind::kPatchesAcross;
  const PatchGrid& grid = of_a ? x.p.a.grid : x.p.b.grid;
  const float* const image = of_a ? t.a : t.b;
  if (x.g.strip_floats > 0) {
    const float* starts[kGemmKc];
    FillStrip(grid, image, k0, kc, strip, starts);
    CopyPatches(grid, starts, kc, x.g.patch_step, gather);
  } else {
    GatherPatches(grid, image, k0, kc, 0, of_a ? x.p.m : x.p.n, x.g.patch_step, gather);
  }
}

void RunBlock(const Product& x, Block& t, int slot) {
  float* const packed_a = x.slots + slot * x.g.slot_floats();
  float* const packed_b = packed_a + x.g.a_floats;
  float* const gather = packed_b + x.g.b_floats;
  float* const strip = gather + x.g.gather_floats;
  const bool deep = ReadsDeep(x);
  if (deep && x.g.strip_floats > 0) {
    FillStrip(x.p.a.grid, t.a, t.m0, t.m1 - t.m0, strip, t.patches);
  }
  const int64_t height = TileHeight(t.m1 - t.m0, deep ? kMrDeep : kMr);
  const int64_t panel_rows = deep ? kMrDeep : kAStride;
  TileRows panels[kGemmMaxRows / kMrDeep + 1];
  for (int64_t k0 = t.k0; k0 < t.k1; k0 += kGemmKc) {
    const int64_t kc = std::min(kGemmKc, t.k1 - k0);
    const bool whole = k0 + kc == t.k1 && !x.g.staged;  // after this block nothing is missing
    if (x.g.patch_step > 0) GatherSmallPatches(x, t, k0, kc, gather, strip);
    if (PacksTogether(x)) PackPanels(x, t, height, k0, kc, packed_a);
    for (int64_t m = t.m0, i = 0; m < t.m1; m += height, ++i) {
      panels[i] = RowsOfA(x, t, m, std::min(height, t.m1 - m), k0, kc, gather,
                          packed_a + i * panel_rows * kc);
    }
    for (int64_t n = t.n0; n < t.n1; n += kNr) {
      const int64_t cols = std::min<int64_t>(kNr, t.n1 - n);
      const TileColumns b = ColumnsOfB(x, t, n, cols, k0, kc, gather, packed_b);
      const float* bias = t.bias != nullptr ? t.bias + n : nullptr;
      const Bounds bounds = whole ? BoundsOf(x.p.act) : Bounds();
      RunRows(panels, t.m1 - t.m0, b.data, b.step, kc,
              {t.rows, n, height, cols, k0 > t.k0, bias, bounds});
      if (!whole || IsClamp(x.p.act)) continue;
      for (int64_t m = t.m0; m < t.m1; ++m) ActInPlace(x.p.act, t.rows[m - t.m0] + n, cols);
    }
  }
}

void RunItem(const Product& x, int64_t item, int slot) {
  const GemmProblem& p = x.p;
  const GemmBlocking& g = x.g;
  Block t;
  const int64_t nt = item % g.n_tiles;
  const int64_t mt = item / g.n_tiles % g.m_tiles;
  const int64_t rest = item / (g.n_tiles * g.m_tiles);
  const int64_t part = rest % g.parts;
  const int64_t batch = rest / g.parts;
  t.a = p.a.data + batch * p.a.batch_step;
  t.b = g.shared_floats > 0 ? x.shared : p.b.data + batch * p.b.batch_step;
  t.m0 = mt * g.m_tile;
  t.m1 = std::min(p.m, t.m0 + g.m_tile);
  t.n0 = nt * g.n_tile;
  t.n1 = std::min(p.n, t.n0 + g.n_tile);
  t.k0 = part * g.k_part;
  t.k1 = std::min(p.k, t.k0 + g.k_part);
  const bool with_bias = p.bias != nullptr && !g.staged;
  t.bias = with_bias ? p.bias + batch * p.bias_batch_step : nullptr;
  if (g.staged) {
    FillRows(MatrixOutput(x.partial + part * p.m * p.n, p.n), t.m0, t.m1, 0, t.rows);
  } else {
    FillRows(p.c, t.m0, t.m1, batch * p.c.batch_step, t.rows);
  }
  RunBlock(x, t, slot);
}

struct AddTwo {
  HWY_INLINE VF operator()(F32, VF a, VF b) const { return hn::Add(a, b); }
};

// A row of C from its partial sums, added in order, in the place of the first.
void AddParts(const Product& x, int64_t row) {
  const GemmProblem& p = x.p;
  float* sum = x.partial + row * p.n;
  for (int64_t s = 1; s < x.g.parts; ++s) {
    Map(AddTwo(), p.n, sum, Array{sum}, Array{sum + s * p.m * p.n});
  }
  if (p.bias != nullptr) Map(AddTwo(), p.n, sum, Array{sum}, Array{p.bias});
  ActInPlace(p.act, sum, p.n);
  if (!p.c.transposed) return CopyFloats(sum, RowOf(p.c, row), p.n);
  for (int64_t j = 0; j < p.n; ++j) p.c.data[j * p.c.step_n + row] = sum[j];
}

void RunDots(const GemmProblem& p, int64_t item) {
  const int64_t blocks = CeilDiv(p.n, kGemmDotColumns);
  const int64_t batch = item / blocks;
  const int64_t n0 = item % blocks * kGemmDotColumns;
  const int64_t columns = std::min(kGemmDotColumns, p.n - n0);
  float* c = p.c.data + batch * p.c.batch_step + n0;
  const float* bias = p.bias != nullptr ? p.bias + batch * p.bias_batch_step + n0 : nullptr;
  DotProducts(p.a.data + batch * p.a.batch_step, p.a.ld, p.m,
              p.b.data + batch * p.b.batch_step + n0 * p.b.ld, p.b.ld, columns, p.k, bias, c,
              p.c.step_n);
  for (int64_t r = 0; r < p.m; ++r) ActInPlace(p.act, c + r * p.c.step_n, columns);
}

// A sum over nothing: zeros or the bias.
void FillRow(const GemmProblem& p, int64_t row) {
  const int64_t batch = row / p.m;
  float* out = RowOf(p.c, row % p.m) + batch * p.c.batch_step;
  if (p.bias != nullptr) {
    CopyFloats(p.bias + batch * p.bias_batch_step, out, p.n);
  } else {
    ZeroFloats(out, p.n);
  }
  ActInPlace(p.act, out, p.n);
}

void PackShared(const GemmProblem& p, ThreadPool* pool, float* to) {
  if (p.b.kind != GemmOperand::Kind::kAcrossMajor) {
    pool->ParallelFor(CeilDiv(p.n, kNr),
                      [&](int64_t panel, int) HWY_ATTR { PackWholePanel(p, p.b.data, panel, to); });
    return;
  }
  constexpr int64_t kRows = 4 * kPackStep;
  static_assert(kGemmKc % kRows == 0);
  pool->ParallelFor(CeilDiv(p.k, kRows), [&](int64_t i, int) HWY_ATTR {
    PackWholeRows(p, p.b.data, i * kRows, std::min(p.k, (i + 1) * kRows), to);
  });
}

void GemmAtLevel(const GemmProblem& p, void* scratch, ThreadPool* pool) {
  if (p.k == 0) {
    pool->ParallelFor(p.batch * p.m, [&](int64_t row, int) HWY_ATTR { FillRow(p, row); });
    return;
  }
  const Product x(p, scratch);
  if (x.g.dot) {
    pool->ParallelFor(p.batch * CeilDiv(p.n, kGemmDotColumns),
                      [&](int64_t item, int) HWY_ATTR { RunDots(p, item); });
    return;
  }
  if (x.g.shared_floats > 0) PackShared(p, pool, x.shared);
  pool->ParallelFor(p.batch * x.g.parts * x.g.m_tiles * x.g.n_tiles,
                    [&](int64_t item, int slot) HWY_ATTR { RunItem(x, item, slot); });
  if (x.g.staged) {
    pool->ParallelFor(p.m, [&](int64_t row, int) HWY_ATTR { AddParts(x, row); });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {

HWY_EXPORT(GemmAtLevel);
HWY_EXPORT(PackAtLevel);

void PackGemmB(const GemmProblem& p, float* to) { HWY_DYNAMIC_DISPATCH(PackAtLevel)(p, to); }

GemmOperand PackedOperand(const GemmProblem& p, const float* panels) {
  GemmOperand o;
  o.kind = GemmOperand::Kind::kPanels;
  o.data = panels;
  o.batch_step = PackedGemmFloats(p);
  return o;
}

void Gemm(const GemmProblem& p, void* scratch, ThreadPool* pool) {
  if (p.batch * p.m * p.n == 0) return;
  HWY_DYNAMIC_DISPATCH(GemmAtLevel)(p, scratch, pool);
}

}  // namespace pocketune
#endif
