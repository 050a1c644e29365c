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
#include "engine/base/math.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

HWY_INLINE float* RowOf(const GemmOutput& c, int64_t row) {
  const int64_t plane = c.rows * c.cols;
  return c.data + row / plane * c.step_n + row % plane / c.cols * c.step_i +
         row % c.cols * c.step_j;
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
  // Packed B of k block k0: panels of kNr columns, kc deep each.
  float* SharedPanel(int64_t k0, int64_t kc, int64_t panel) const {
    return shared + k0 * AlignUp(p.n, kNr) + panel * kc * kNr;
  }
};

void PackSharedPanel(const Product& x, int64_t panel) {
  for (int64_t k0 = 0; k0 < x.p.k; k0 += kGemmKc) {
    const int64_t kc = std::min(kGemmKc, x.p.k - k0);
    PackPanel<kNr>(x.p.b, x.p.b.data, panel * kNr, x.p.n, k0, kc, nullptr,
                   x.SharedPanel(k0, kc, panel));
  }
}

// A block of C: rows at `rows`, columns [n0, n1), summed over k in [k0, k1).
struct Block {
  const float* a;
  const float* b;
  const float* bias;
  int64_t m0, m1, n0, n1, k0, k1;
  float* rows[192];
};

void RunBlock(const Product& x, const Block& t, int slot) {
  float* const packed_a = x.slots + slot * x.g.slot_floats();
  float* const packed_b = packed_a + x.g.a_floats;
  float* const gather = packed_b + x.g.b_floats;
  for (int64_t k0 = t.k0; k0 < t.k1; k0 += kGemmKc) {
    const int64_t kc = std::min(kGemmKc, t.k1 - k0);
    const bool last = k0 + kc == t.k1;
    for (int64_t m = t.m0, panel = 0; m < t.m1; m += kMr, ++panel) {
      PackPanel<kAStride>(x.p.a, t.a, m, t.m1, k0, kc, gather, packed_a + panel * kAStride * kc);
    }
    for (int64_t n = t.n0; n < t.n1; n += kNr) {
      const float* b = packed_b;
      if (x.g.shared_b) {
        b = x.SharedPanel(k0, kc, n / kNr);
      } else {
        PackPanel<kNr>(x.p.b, t.b, n, t.n1, k0, kc, nullptr, packed_b);
      }
      const int64_t cols = std::min<int64_t>(kNr, t.n1 - n);
      const float* bias = t.bias != nullptr ? t.bias + n : nullptr;
      for (int64_t m = t.m0, panel = 0; m < t.m1; m += kMr, ++panel) {
        const int64_t rows = std::min<int64_t>(kMr, t.m1 - m);
        float* const* c = t.rows + (m - t.m0);
        TileAt(packed_a + panel * kAStride * kc, b, kc, c, rows, n, cols, k0 > t.k0, bias);
        if (!last || x.g.parts > 1) continue;
        for (int64_t r = 0; r < rows; ++r) ActInPlace(x.p.act, c[r] + n, cols);
      }
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
  t.b = p.b.data + batch * p.b.batch_step;
  t.m0 = mt * g.m_tile;
  t.m1 = std::min(p.m, t.m0 + g.m_tile);
  t.n0 = nt * g.n_tile;
  t.n1 = std::min(p.n, t.n0 + g.n_tile);
  t.k0 = part * g.k_part;
  t.k1 = std::min(p.k, t.k0 + g.k_part);
  const bool with_bias = p.bias != nullptr && g.parts == 1;
  t.bias = with_bias ? p.bias + batch * p.bias_batch_step : nullptr;
  for (int64_t m = t.m0; m < t.m1; ++m) {
    t.rows[m - t.m0] =
        g.parts > 1 ? x.partial + (part * p.m + m) * p.n : RowOf(p.c, m) + batch * p.c.batch_step;
  }
  RunBlock(x, t, slot);
}

// A row of C from its partial sums, added in order.
void AddParts(const Product& x, int64_t row) {
  const GemmProblem& p = x.p;
  float* out = RowOf(p.c, row);
  for (int64_t j = 0; j < p.n; ++j) {
    float sum = x.partial[row * p.n + j];
    for (int64_t s = 1; s < x.g.parts; ++s) sum += x.partial[(s * p.m + row) * p.n + j];
    out[j] = p.bias != nullptr ? sum + p.bias[j] : sum;
  }
  ActInPlace(p.act, out, p.n);
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
  if (x.g.shared_b) {
    pool->ParallelFor(CeilDiv(p.n, kNr),
                      [&](int64_t panel, int) HWY_ATTR { PackSharedPanel(x, panel); });
  }
  pool->ParallelFor(p.batch * x.g.parts * x.g.m_tiles * x.g.n_tiles,
                    [&](int64_t item, int slot) HWY_ATTR { RunItem(x, item, slot); });
  if (x.g.parts > 1) {
    pool->ParallelFor(p.m, [&](int64_t row, int) HWY_ATTR { AddParts(x, row); });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {

HWY_EXPORT(GemmAtLevel);

void Gemm(const GemmProblem& p, void* scratch, ThreadPool* pool) {
  if (p.batch * p.m * p.n == 0) return;
  HWY_DYNAMIC_DISPATCH(GemmAtLevel)(p, scratch, pool);
}

}  // namespace pocketune
#endif
