#include "backends/cpu/gemm_blocking.h"

#include <algorithm>

#include "engine/base/math.h"

namespace pocketune {
namespace {

constexpr int64_t kWantedItems = 16;            // enough to keep eight threads busy
constexpr int64_t kSharedFloats = 1 << 17;      // 512 KiB of packed B at most
constexpr int64_t kManySharedFloats = 1 << 22;  // 16 MiB, of one that many rows meet
constexpr int64_t kPartialFloats = 1 << 17;
constexpr int64_t kMinPart = 3 * kGemmKc;  // depth below which a split of K does not pay
// Multiples of the micro-kernels' heights (14, 6) and widths (32, 16, 8, 12).
constexpr int64_t kRowUnit = 42;
constexpr int64_t kColumnUnit = 96;
// Packing pays where a panel is read by more than so many panels of the other side.
constexpr int64_t kDirectColumns = 256;
constexpr int64_t kDirectRows = 56;
// A patch of few channels is gathered once rather than in pieces that do not end where taps do.
constexpr int64_t kSmallPatch = 160;
// Rows of patches with at most so many channels are too short to be copied one by one.
constexpr int64_t kFewChannels = 8;
constexpr int64_t kVector = 16;  // floats that may be read or written too many

// Multiply-accumulates of a product whose tiles are filled up with zeros.
int64_t PaddedWork(int64_t m, int64_t n) { return AlignUp(m, 2) * (n <= 8 ? 8 : AlignUp(n, 16)); }

int64_t PatchStep(const GemmProblem& p, bool shared_b) {
  using Kind = GemmOperand::Kind;
  if (p.a.kind == Kind::kPatchesAcross && p.m <= kSmallPatch) return AlignUp(p.m, 2);
  if (p.b.kind == Kind::kPatchesAcross && p.n <= kSmallPatch && !shared_b) return WidestB(p.n);
  return 0;
}

// Floats of the strips that any `points` neighbouring points need; 0 where strips do not pay.
int64_t StripFloats(const PatchGrid& g, int64_t points) {
  const bool pays = g.step_w == 1 && g.pixel == g.channels && g.channels <= kFewChannels &&
                    g.taps_h * g.taps_w > 1;
  if (!pays || g.rows * g.cols == 0) return 0;
  const StripShape shape = StripOf(g);
  const int64_t rows = CeilDiv(points - 1, g.cols) + 1;
  const int64_t images = CeilDiv(rows - 1, g.rows) + 1;
  const int64_t strip_rows = rows * g.stride_h + images * (shape.span - g.stride_h);
  return AlignUp(strip_rows * shape.pitch + kVector, 16);
}

int64_t StripFloats(const GemmProblem& p, const GemmBlocking& g) {
  using Kind = GemmOperand::Kind;
  if (p.k == 0) return 0;
  if (p.a.kind == Kind::kPatches) {
    return g.direct_a && p.k <= kSmallPatch ? StripFloats(p.a.grid, std::min(p.m, g.m_tile)) : 0;
  }
  if (g.patch_step == 0) return 0;
  const bool of_a = p.a.kind == Kind::kPatchesAcross;
  return StripFloats(of_a ? p.a.grid : p.b.grid, std::min(p.k, kGemmKc));
}

// Is B packed once, before the work items run? It takes memory, which a large B is worth only where
// several items would pack the same panels.
bool SharingPays(const GemmProblem& p) {
  const int64_t most = p.m > kGemmMaxRows ? kManySharedFloats : kSharedFloats;
  return p.batch == 1 && p.m > kRowUnit && PackedGemmFloats(p) <= most;
}

int64_t PackedRows(int64_t m) { return std::max(CeilDiv(m, 14) * 16, CeilDiv(m, 6) * 8); }

}  // namespace

int64_t WidestB(int64_t n) { return std::max(AlignUp(n, 32), AlignUp(n, 12)); }

bool TransposePays(int64_t m, int64_t n) {
  return m * n <= kPartialFloats && 10 * PaddedWork(n, m) < 9 * PaddedWork(m, n);
}

GemmBlocking BlockingOf(const GemmProblem& p) {
  using Kind = GemmOperand::Kind;
  GemmBlocking g;
  if (p.m <= kGemmDotRows && p.a.kind == Kind::kDepthMajor && p.b.kind == Kind::kDepthMajor) {
    g.dot = true;
    return g;
  }
  const bool packed = p.b.kind == Kind::kPanels;
  g.shared_b = packed || SharingPays(p);
  const int64_t even = AlignUp(CeilDiv(p.m * p.batch, kWantedItems), kRowUnit);
  g.m_tile = g.shared_b ? std::clamp(even, kRowUnit, kGemmMaxRows) : kGemmMaxRows;
  g.m_tiles = CeilDiv(p.m, g.m_tile);
  const int64_t columns_wanted = CeilDiv(kWantedItems, std::max<int64_t>(1, g.m_tiles * p.batch));
  g.n_tile = AlignUp(CeilDiv(p.n, columns_wanted), kColumnUnit);
  g.n_tiles = CeilDiv(p.n, g.n_tile);

  g.direct_a = g.n_tile <= kDirectColumns || p.n <= kDirectColumns;
  g.direct_b = std::min(p.m, g.m_tile) <= kDirectRows;

  const int64_t items = std::max<int64_t>(1, p.batch * g.m_tiles * g.n_tiles);
  const bool plain_c = p.c.rows == 1 && p.c.cols == 1;
  if (p.batch == 1 && plain_c && p.m * p.n > 0) {
    g.parts = std::min({kWantedItems / items, p.k / kMinPart, kPartialFloats / (p.m * p.n)});
    g.parts = std::max<int64_t>(g.parts, 1);
  }
  g.k_part = AlignUp(CeilDiv(std::max<int64_t>(p.k, 1), g.parts), kGemmKc);
  g.parts = CeilDiv(std::max<int64_t>(p.k, 1), g.k_part);
  g.staged = g.parts > 1 || p.c.transposed;

  const int64_t depth = std::min(p.k, kGemmKc);
  g.shared_floats = g.shared_b && !packed ? PackedGemmFloats(p) : 0;
  g.partial_floats = g.staged ? AlignUp(g.parts * p.m * p.n, 16) : 0;
  g.a_floats = AlignUp(PackedRows(std::min(p.m, g.m_tile)) * depth, 16);
  g.b_floats = g.shared_b ? 0 : 32 * depth;
  g.patch_step = PatchStep(p, g.shared_b);
  g.gather_floats = p.a.kind == Kind::kPatches ? kGemmMaxPanelRows * depth : g.patch_step * depth;
  g.strip_floats = StripFloats(p, g);
  if (g.strip_floats > 0) g.gather_floats += kVector;
  return g;
}

StripShape StripOf(const PatchGrid& g) {
  return {((g.cols - 1) * g.stride_w + g.taps_w) * g.channels,
          std::max((g.taps_h - 1) * g.step_h + 1, g.stride_h)};
}

int64_t PackedGemmFloats(const GemmProblem& p) { return AlignUp(p.k * WidestB(p.n), 16); }

int64_t GemmScratchBytes(const GemmProblem& p, int slots) {
  const GemmBlocking g = BlockingOf(p);
  return int64_t{sizeof(float)} * (g.shared_floats + g.partial_floats + slots * g.slot_floats());
}

}  // namespace pocketune
