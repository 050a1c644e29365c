#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/winograd.cc"
// clang-format off: first of all includes
#include "backends/cpu/hwy_common.h"
// clang-format on

#include <algorithm>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/gemm_blocking.h"
#include "backends/cpu/gemm_kernels-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/kernels/winograd-inl.h"
#include "backends/cpu/kernels/winograd.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {

// A convolution, its cut and its places in scratch.
struct Winograd {
  const WinogradConv& c;
  WinogradBlocking g;
  float* zeros;  // a pixel outside the image
  float* inputs;
  float* weights;
  float* slots;

  Winograd(const WinogradConv& conv, void* scratch) : c(conv), g(BlockingOf(conv)) {
    zeros = static_cast<float*>(scratch);
    inputs = zeros + g.zero_floats;
    weights = inputs + g.input_floats;
    slots = weights + g.weight_floats;
  }
};

// The inputs of one tile, to `to` in each plane.
void TransformInput(const Winograd& x, int64_t tile, float* to) {
  const WinogradConv& c = x.c;
  const TilePlace place(c, tile);
  TransformPixels(InputLine(), c.x + place.n * c.in_h * c.in_w * c.in, c.in_h, c.in_w, c.in,
                  place.i - c.pad_top, place.j - c.pad_left, x.zeros, 0, c.in, x.g.input_plane, to);
}

// The weights of the outputs [n0, n0 + kNr): 36 panels [in, kNr].
void TransformWeights(const Winograd& x, int64_t n0, float* taps, float* HWY_RESTRICT to) {
  const WinogradConv& c = x.c;
  for (int64_t k0 = 0; k0 < c.in; k0 += kWinogradRows) {
    const int64_t rows = std::min(kWinogradRows, c.in - k0);
    for (int64_t tap = 0; tap < 9; ++tap) {
      PackPanel<kNr>(c.weights, c.weights.data, n0, c.out, tap * c.in + k0, rows, nullptr,
                     taps + tap * kWinogradRows * kNr);
    }
    for (int64_t at = 0; at < rows * kNr; at += kLanes) {
      const float* from = taps + at;
      float* out = to + k0 * kNr + at;
      TransformSquare(
          WeightLine(),
          [&](int i, int j)
              HWY_ATTR { return hn::Load(F32(), from + (i * 3 + j) * kWinogradRows * kNr); },
          [&](int i, int j, VF v)
              HWY_ATTR { hn::Store(v, F32(), out + (i * kWinogradIn + j) * x.g.weight_plane); });
    }
  }
}

// Columns [n0, n0 + cols) of the 36 products for `tiles` tiles from `inputs` on, to
// products[tile][36][kNr].
void Multiply(const Winograd& x, const float* inputs, int64_t tiles, const float* weights,
              int64_t cols, float* products) {
  const int64_t depth = x.c.in;
  float* rows[kWinogradMaxPart];
  for (int64_t r = 0; r < tiles; ++r) rows[r] = products + r * kWinogradAll * kNr;
  const int64_t height = TileHeight(tiles, kMrDeep);
  TileRows panels[kWinogradMaxPart / kMrDeep + 1];
  for (int64_t i = 0; i < kWinogradAll; ++i) {
    for (int64_t k0 = 0; k0 < depth; k0 += kGemmKc) {
      const int64_t kc = std::min(kGemmKc, depth - k0);
      const float* a = inputs + i * x.g.input_plane + k0;
      for (int64_t r = 0; r * height < tiles; ++r)
        panels[r] = {a + r * height * depth, depth, true};
      const float* b = weights + i * x.g.weight_plane + k0 * kNr;
      RunRows(panels, tiles, b, kNr, kc, {rows, i * kNr, height, cols, k0 > 0, nullptr, Bounds()});
    }
  }
}

// The products [36][kNr] of one tile to columns [n0, n0 + cols) of its outputs.
void TransformOutput(const Winograd& x, int64_t tile, const float* products, int64_t n0,
                     int64_t cols) {
  const WinogradConv& c = x.c;
  const TilePlace place(c, tile);
  const int64_t rows = std::min(kWinogradOut, c.out_h - place.i);
  const int64_t width = std::min(kWinogradOut, c.out_w - place.j);
  float* to = c.y + ((place.n * c.out_h + place.i) * c.out_w + place.j) * c.out + n0;
  const Bounds bounds = BoundsOf(c.act);
  ForEachVector(cols, [&](const auto& access, int64_t k) HWY_ATTR {
    const VF bias = c.bias != nullptr ? access.Load(c.bias + n0 + k) : hn::Zero(F32());
    TransformSquare(
        OutputLine(),
        [&](int i, int j)
            HWY_ATTR { return access.Load(products + (i * kWinogradIn + j) * kNr + k); },
        [&](int i, int j, VF y) HWY_ATTR {
          if (i >= rows || j >= width) return;
          access.Store(bounds(F32(), hn::Add(y, bias)), to + (i * c.out_w + j) * c.out + k);
        });
  });
  if (IsClamp(c.act)) return;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < width; ++j) ActInPlace(c.act, to + (i * c.out_w + j) * c.out, cols);
  }
}

// One panel of outputs for tiles [first, last) of the group that begins with tile `group`.
void RunPart(const Winograd& x, int64_t group, int64_t first, int64_t last, int64_t panel,
             int slot) {
  float* const own = x.slots + slot * x.g.slot_floats();
  float* const products = own + x.g.panel_floats;
  const int64_t n0 = panel * kNr, cols = std::min<int64_t>(kNr, x.c.out - n0);
  const float* weights = x.weights + n0 * x.c.in;
  if (!x.g.shared_weights) {
    TransformWeights(x, n0, products + x.g.product_floats, own);
    weights = own;
  }
  Multiply(x, x.inputs + (first - group) * x.c.in, last - first, weights, cols, products);
  for (int64_t t = first; t < last; ++t) {
    TransformOutput(x, t, products + (t - first) * kWinogradAll * kNr, n0, cols);
  }
}

void WinogradAtLevel(const WinogradConv& c, void* scratch, ThreadPool* pool) {
  const Winograd x(c, scratch);
  ZeroFloats(x.zeros, x.g.zero_floats);
  const int64_t panels = CeilDiv(c.out, kNr);
  if (x.g.shared_weights) {
    pool->ParallelFor(panels, [&](int64_t panel, int slot) HWY_ATTR {
      float* const own = x.slots + slot * x.g.slot_floats();
      TransformWeights(x, panel * kNr, own + x.g.panel_floats + x.g.product_floats,
                       x.weights + panel * kNr * c.in);
    });
  }
  for (int64_t group = 0; group < c.tiles(); group += x.g.group) {
    const int64_t end = std::min(group + x.g.group, c.tiles());
    ParallelPieces(pool, end - group, 4, [&](int64_t first, int64_t last) HWY_ATTR {
      for (int64_t t = first; t < last; ++t) TransformInput(x, group + t, x.inputs + t * c.in);
    });
    const int64_t parts = CeilDiv(end - group, x.g.part);
    pool->ParallelFor(parts * panels, [&](int64_t item, int slot) HWY_ATTR {
      const int64_t first = group + item / panels * x.g.part;
      RunPart(x, group, first, std::min(first + x.g.part, end), item % panels, slot);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {

HWY_EXPORT(WinogradAtLevel);

namespace {

constexpr int64_t kInputFloats = 150 << 10;   // of a group at most, unless a part has more
constexpr int64_t kWeightFloats = 160 << 10;  // of all panels, where they are transformed once

// w: (out, tap, in) as the forward pass stores it.
WinogradConv ForwardConv(const Shape& x, const Shape& w, const Shape& y, const ConvAttrs& a) {
  WinogradConv c = {x[0], x[1], x[2], x[3], y[1], y[2], y[3], a.pad[0], a.pad[2], {}};
  c.weights = MatrixOperand(nullptr, 9 * w[3], false);
  c.act = a.act;
  return c;
}

// The input gradient is a convolution of dy with the taps in the opposite order.
WinogradConv GradConv(const Shape& dy, const Shape& w, const Shape& dx, const ConvGradAttrs& a) {
  WinogradConv c = {dy[0], dy[1], dy[2],        dy[3],        dx[1],
                    dx[2], dx[3], 2 - a.pad[0], 2 - a.pad[2], {}};
  c.weights.kind = GemmOperand::Kind::kTaps;
  c.weights.ld = 9 * w[3];
  c.weights.inner = w[0];
  c.weights.taps_t = 3;
  c.weights.step_s = -3 * w[3];
  c.weights.step_t = -w[3];
  return c;
}

WinogradConv ForwardConv(const KernelQuery& q) {
  return ForwardConv(q.operands[0].shape, q.operands[1].shape, q.results[0].shape,
                     std::get<ConvAttrs>(*q.attrs));
}
WinogradConv GradConv(const KernelQuery& q) {
  return GradConv(q.operands[0].shape, q.operands[1].shape, q.results[0].shape,
                  std::get<ConvGradAttrs>(*q.attrs));
}

int64_t ScratchOf(const WinogradConv& c, int slots) {
  const WinogradBlocking g = BlockingOf(c);
  return int64_t{sizeof(float)} * (g.shared_floats() + slots * g.slot_floats());
}

}  // namespace

bool WinogradPays(const WinogradConv& c, int64_t scratch_bytes) {
  const int64_t pixels = c.batch * c.out_h * c.out_w;
  const int64_t floats = c.batch * c.in_h * c.in_w * c.in + pixels * c.out + 9 * c.in * c.out;
  return c.in >= 32 && c.out >= 32 && c.tiles() >= 16 &&
         c.tiles() * kWinogradOut * kWinogradOut <= 2 * pixels &&
         scratch_bytes <= int64_t{sizeof(float)} * floats;
}

WinogradBlocking BlockingOf(const WinogradConv& c) {
  WinogradBlocking g;
  const int64_t tiles = c.tiles();
  const int64_t most = std::max(kWinogradMaxPart, kInputFloats / (kWinogradAll * c.in));
  const int64_t held = std::min(most, tiles);  // of a part of the batch never more
  g.group = std::min(AlignUp(CeilDiv(tiles, CeilDiv(tiles, most)), 8), held);
  g.part = std::min(AlignUp(CeilDiv(g.group, CeilDiv(g.group, kWinogradMaxPart)), 8), g.group);
  g.input_plane = OddLines(held * c.in);
  g.zero_floats = AlignUp(c.in, 16);
  g.input_floats = kWinogradAll * g.input_plane;
  const int64_t all_outputs = WidestB(c.out);
  g.shared_weights = kWinogradAll * c.in * all_outputs <= kWeightFloats;
  g.weight_plane = OddLines(c.in * (g.shared_weights ? all_outputs : kWinogradPanel));
  (g.shared_weights ? g.weight_floats : g.panel_floats) = kWinogradAll * g.weight_plane;
  g.product_floats = std::min(kWinogradMaxPart, held) * kWinogradAll * kWinogradPanel;
  g.taps_floats = 9 * kWinogradRows * kWinogradPanel;
  return g;
}

bool WinogradConv2d::Supports(const KernelQuery& query) {
  if (!HasWinogradTaps(query, query.operands[1].shape, std::get<ConvAttrs>(*query.attrs)))
    return false;
  const WinogradConv c = ForwardConv(query);
  return WinogradPays(c, ScratchOf(c, 1));
}
int64_t WinogradConv2d::ScratchBytes(const KernelQuery& query) {
  return ScratchOf(ForwardConv(query), query.slots);
}
void WinogradConv2d::Run(const KernelArgs& args) {
  WinogradConv c = ForwardConv(args.operands[0].shape, args.operands[1].shape,
                               args.results[0].shape, args.Attr<ConvAttrs>());
  c.x = args.operands[0].as<float>();
  c.weights.data = args.operands[1].as<float>();
  c.bias = args.operands.size() > 2 ? args.operands[2].as<float>() : nullptr;
  c.y = args.results[0].as<float>();
  HWY_DYNAMIC_DISPATCH(WinogradAtLevel)(c, args.scratch, args.pool);
}

bool WinogradConv2dGradInput::Supports(const KernelQuery& query) {
  if (!HasWinogradTaps(query, query.operands[1].shape, std::get<ConvGradAttrs>(*query.attrs)))
    return false;
  const WinogradConv c = GradConv(query);
  return WinogradPays(c, ScratchOf(c, 1));
}
int64_t WinogradConv2dGradInput::ScratchBytes(const KernelQuery& query) {
  return ScratchOf(GradConv(query), query.slots);
}
void WinogradConv2dGradInput::Run(const KernelArgs& args) {
  const TensorView& w = args.operands[1];
  WinogradConv c =
      GradConv(args.operands[0].shape, w.shape, args.results[0].shape, args.Attr<ConvGradAttrs>());
  c.x = args.operands[0].as<float>();
  c.weights.data = w.as<float>() + 8 * w.shape[3];
  c.y = args.results[0].as<float>();
  HWY_DYNAMIC_DISPATCH(WinogradAtLevel)(c, args.scratch, args.pool);
}

}  // namespace pocketune
#endif
