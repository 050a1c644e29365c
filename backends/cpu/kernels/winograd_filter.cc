// The filter gradient through the transformations of winograd.h: each of the 36 values of a pair of
// channels is a sum over tiles, of products of transformed inputs and output gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/winograd_filter.cc"
// clang-format off: first of all includes
#include "backends/cpu/hwy_common.h"
// clang-format on

#include <algorithm>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/gemm_blocking.h"
#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/winograd-inl.h"
#include "backends/cpu/kernels/winograd.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

struct FilterScratch {
  float *zeros, *dy, *x, *sums;
  FilterScratch(const FilterGrad& f, void* scratch) : zeros(static_cast<float*>(scratch)) {
    dy = zeros + f.zeros;
    x = dy + kWinogradAll * f.dy_plane;
    sums = x + kWinogradAll * f.x_plane;
  }
};

// Adds to plane `i` of the sums, or begins, what `tiles` tiles give for `cols` inputs.
void AddProducts(const FilterGrad& f, const FilterScratch& at, int64_t i, int64_t tiles,
                 int64_t cols, bool begin) {
  float* rows[kGemmMaxRows];
  TileRows panels[kGemmMaxRows / kMr + 1];
  for (int64_t m0 = 0; m0 < f.c.out; m0 += kGemmMaxRows) {
    const int64_t m = std::min(kGemmMaxRows, f.c.out - m0);
    for (int64_t r = 0; r < m; ++r) {
      rows[r] = at.sums + i * f.sum_plane + (m0 + r) * f.columns;
    }
    const int64_t height = TileHeight(m, kMr);
    const float* dy = at.dy + i * f.dy_plane + m0;
    for (int64_t r = 0; r * height < m; ++r) panels[r] = {dy + r * height, f.c.out, false};
    for (int64_t n = 0; n < cols; n += kNr) {
      const float* b = at.x + i * f.x_plane + n;
      RunRows(panels, m, b, f.columns, tiles,
              {rows, n, height, std::min<int64_t>(kNr, cols - n), !begin, nullptr, Bounds()});
    }
  }
}

// Inputs [c0, c0 + cols) of a tile, and unless they are there its output gradients.
void TransformTile(const FilterGrad& f, const FilterScratch& at, int64_t tile, int64_t row,
                   int64_t c0, int64_t cols, bool with_dy) {
  const WinogradConv& c = f.c;
  const TilePlace place(c, tile);
  TransformPixels(InputLine(), c.x + place.n * c.in_h * c.in_w * c.in, c.in_h, c.in_w, c.in,
                  place.i - c.pad_top, place.j - c.pad_left, at.zeros, c0, cols, f.x_plane,
                  at.x + row * f.columns);
  if (!with_dy) return;
  TransformPixels(OutputGradLine(), f.dy + place.n * c.out_h * c.out_w * c.out, c.out_h, c.out_w,
                  c.out, place.i, place.j, at.zeros, 0, c.out, f.dy_plane, at.dy + row * c.out);
}

void TransformSums(const FilterGrad& f, const FilterScratch& at, int64_t o, int64_t c0,
                   int64_t cols) {
  const float* from = at.sums + o * f.columns;
  float* to = f.dw + o * 9 * f.c.in + c0;
  ForEachVector(cols, [&](const auto& access, int64_t k) HWY_ATTR {
    TransformSquare(
        WeightGradLine(),
        [&](int i, int j)
            HWY_ATTR { return access.Load(from + (i * kWinogradIn + j) * f.sum_plane + k); },
        [&](int i, int j, VF g) HWY_ATTR { access.Store(g, to + (i * 3 + j) * f.c.in + k); });
  });
}

void FilterGradAtLevel(const FilterGrad& f, void* scratch, ThreadPool* pool) {
  const FilterScratch at(f, scratch);
  ZeroFloats(at.zeros, f.zeros);
  const int64_t tiles = f.c.tiles();
  for (int64_t c0 = 0; c0 < f.c.in; c0 += f.columns) {
    const int64_t cols = std::min(f.columns, f.c.in - c0);
    for (int64_t group = 0; group < tiles; group += f.group) {
      const int64_t count = std::min(f.group, tiles - group);
      const bool with_dy = c0 == 0 || f.group < tiles;
      ParallelPieces(pool, count, 4, [&](int64_t first, int64_t last) HWY_ATTR {
        for (int64_t t = first; t < last; ++t) {
          TransformTile(f, at, group + t, t, c0, cols, with_dy);
        }
      });
      pool->ParallelFor(kWinogradAll, [&](int64_t i, int) HWY_ATTR {
        AddProducts(f, at, i, count, cols, group == 0);
      });
    }
    pool->ParallelFor(f.c.out, [&](int64_t o, int) HWY_ATTR { TransformSums(f, at, o, c0, cols); });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {

HWY_EXPORT(FilterGradAtLevel);

namespace {

FilterGrad FilterOf(const Shape& dy, const Shape& x, const ConvGradAttrs& a) {
  return FilterGrad({x[0], x[1], x[2], x[3], dy[1], dy[2], dy[3], a.pad[0], a.pad[2], {}});
}

FilterGrad FilterOf(const KernelQuery& q) {
  return FilterOf(q.operands[0].shape, q.operands[1].shape, std::get<ConvGradAttrs>(*q.attrs));
}

}  // namespace

bool WinogradConv2dGradFilter::Supports(const KernelQuery& query) {
  const ConvGradAttrs& attrs = std::get<ConvGradAttrs>(*query.attrs);
  if (!HasWinogradTaps(query, query.results[0].shape, attrs)) return false;
  const FilterGrad f = FilterOf(query);
  return WinogradPays(f.c, f.ScratchBytes());
}
int64_t WinogradConv2dGradFilter::ScratchBytes(const KernelQuery& query) {
  return FilterOf(query).ScratchBytes();
}
void WinogradConv2dGradFilter::Run(const KernelArgs& args) {
  FilterGrad f =
      FilterOf(args.operands[0].shape, args.operands[1].shape, args.Attr<ConvGradAttrs>());
  f.dy = args.operands[0].as<float>();
  f.c.x = args.operands[1].as<float>();
  f.dw = args.results[0].as<float>();
  HWY_DYNAMIC_DISPATCH(FilterGradAtLevel)(f, args.scratch, args.pool);
}

}  // namespace pocketune
#endif
