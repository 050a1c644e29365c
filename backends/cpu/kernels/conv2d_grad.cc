// Gradients of the convolution. The input gradient gathers, for each input pixel, the output pixels
// that read it: input pixels of one phase (position modulo stride) see the same taps, so each phase
// is one product. The filter gradient is one product summed over all output pixels.
#include <algorithm>
#include <utility>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/gemm.h"
#include "backends/cpu/kernels/conv2d.h"
#include "backends/cpu/packed_weights.h"

namespace pocketune {
namespace {

// Null stays null: scratch is asked for without arrays.
template <typename T>
T* At(T* base, int64_t offset) {
  return base == nullptr ? nullptr : base + offset;
}

// dx[pixel of the phase, c] = sum over (tap, o) of dy[..., o] * w[o, tap, c], per group.
GemmProblem GradInputProblem(const ConvGeometry& g, int64_t phase_h, int64_t phase_w,
                             const float* dy, const float* w, float* dx) {
  const TapLine h = GradLine(phase_h, g.in_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
  const TapLine v = GradLine(phase_w, g.in_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
  const int64_t filter = g.kernel_h * g.kernel_w * g.group_in;
  GemmProblem p;
  p.m = g.batch * h.points * v.points;
  p.n = g.group_in;
  p.k = h.taps * v.taps * g.group_out;
  p.batch = g.groups;
  if (g.pointwise()) {
    p.a = MatrixOperand(dy, g.out_channels(), false);
    p.b = MatrixOperand(w, filter, true);
    p.c = MatrixOutput(dx, g.in_channels());
  } else {
    p.a.kind = GemmOperand::Kind::kPatches;
    p.a.data = dy;
    p.a.grid.height = g.out_h;
    p.a.grid.width = g.out_w;
    p.a.grid.pixel = g.out_channels();
    p.a.grid.channels = g.group_out;
    p.a.grid.rows = h.points;
    p.a.grid.cols = v.points;
    p.a.grid.origin_h = h.origin;
    p.a.grid.origin_w = v.origin;
    p.a.grid.taps_h = h.taps;
    p.a.grid.taps_w = v.taps;
    p.a.grid.step_h = h.step;
    p.a.grid.step_w = v.step;
    p.b.kind = GemmOperand::Kind::kTaps;
    p.b.data = At(w, (h.first_tap * g.kernel_w + v.first_tap) * g.group_in);
    p.b.ld = filter;
    p.b.inner = g.group_out;
    p.b.taps_t = v.taps;
    p.b.step_s = h.tap_step * g.kernel_w * g.group_in;
    p.b.step_t = v.tap_step * g.group_in;
    const int64_t row = g.in_w * g.in_channels();
    p.c.data = At(dx, h.out_first * row + v.out_first * g.in_channels());
    p.c.rows = h.points;
    p.c.cols = v.points;
    p.c.step_n = g.in_h * row;
    p.c.step_i = h.out_stride * row;
    p.c.step_j = v.out_stride * g.in_channels();
  }
  p.a.batch_step = g.group_out;
  p.b.batch_step = g.group_out * filter;
  p.c.batch_step = g.group_in;
  return p;
}

ConvGeometry GradInputGeometry(const KernelQuery& query) {
  return GeometryOf(query.results[0].shape, query.operands[1].shape, query.operands[0].shape,
                    std::get<ConvGradAttrs>(*query.attrs));
}
ConvGeometry GradInputGeometry(const KernelArgs& args) {
  return GeometryOf(args.results[0].shape, args.operands[1].shape, args.operands[0].shape,
                    args.Attr<ConvGradAttrs>());
}

// The one product of a convolution with stride 1.
GemmProblem ProblemOf(const KernelQuery& query) {
  return GradInputProblem(GradInputGeometry(query), 0, 0, nullptr, nullptr, nullptr);
}
GemmProblem ProblemOf(const KernelArgs& args) {
  return GradInputProblem(GradInputGeometry(args), 0, 0, args.operands[0].as<float>(),
                          args.operands[1].as<float>(), args.results[0].as<float>());
}

// dw[o, (tap, c)] = sum over output pixels of dy[pixel, o] * patch[pixel, (tap, c)], per group; or
// the transpose of that, from the same operands in the other order.
GemmProblem GradFilterProblem(const ConvGeometry& g, const float* dy, const float* x, float* dw) {
  GemmProblem p;
  p.m = g.group_out;
  p.n = g.kernel_h * g.kernel_w * g.group_in;
  p.k = g.batch * g.out_h * g.out_w;
  p.batch = g.groups;
  p.a = MatrixOperand(dy, g.out_channels(), true);
  p.a.batch_step = g.group_out;
  p.b = InputPatches(g, x, GemmOperand::Kind::kPatchesAcross);
  p.b.batch_step = g.group_in;
  p.c = MatrixOutput(dw, p.n);
  p.c.batch_step = p.m * p.n;
  if (g.groups == 1 && TransposePays(p.m, p.n)) {
    std::swap(p.m, p.n);
    std::swap(p.a, p.b);
    p.c.transposed = true;
  }
  return p;
}

}  // namespace

int64_t ScratchConv2dGradInput(const KernelQuery& query) {
  const ConvGeometry g = GradInputGeometry(query);
  int64_t bytes = 0;
  for (int64_t h = 0; h < std::min(g.stride_h, g.in_h); ++h) {
    for (int64_t w = 0; w < std::min(g.stride_w, g.in_w); ++w) {
      const GemmProblem p = GradInputProblem(g, h, w, nullptr, nullptr, nullptr);
      bytes = std::max(bytes, GemmScratchBytes(p, query.slots));
    }
  }
  return bytes;
}

void RunConv2dGradInput(const KernelArgs& args) {
  const TensorView& dy = args.operands[0];
  const TensorView& w = args.operands[1];
  const TensorView& dx = args.results[0];
  const ConvGeometry g = GradInputGeometry(args);
  for (int64_t i = 0; i < std::min(g.stride_h, g.in_h); ++i) {
    for (int64_t j = 0; j < std::min(g.stride_w, g.in_w); ++j) {
      Gemm(GradInputProblem(g, i, j, dy.as<float>(), w.as<float>(), dx.as<float>()), args.scratch,
           args.pool);
    }
  }
}

bool PackedConv2dGradInput::Supports(const KernelQuery& query) {
  const ConvGradAttrs& attrs = std::get<ConvGradAttrs>(*query.attrs);
  return attrs.stride[0] == 1 && attrs.stride[1] == 1 && HasFrozenWeights(query) &&
         PackingPays(ProblemOf(query));
}
int64_t PackedConv2dGradInput::ScratchBytes(const KernelQuery& query) {
  return PackedScratchBytes(ProblemOf(query), query.slots);
}
int64_t PackedConv2dGradInput::StateBytes(const KernelQuery& query) {
  return PackedStateBytes(ProblemOf(query));
}
Status PackedConv2dGradInput::Prepare(const KernelArgs& args, void** state) {
  return PrepareGemm(ProblemOf(args), state);
}
void PackedConv2dGradInput::Run(const KernelArgs& args) { RunPreparedGemm(ProblemOf(args), args); }

int64_t ScratchConv2dGradFilter(const KernelQuery& query) {
  const ConvGeometry g = GeometryOf(query.operands[1].shape, query.results[0].shape,
                                    query.operands[0].shape, std::get<ConvGradAttrs>(*query.attrs));
  return GemmScratchBytes(GradFilterProblem(g, nullptr, nullptr, nullptr), query.slots);
}

void RunConv2dGradFilter(const KernelArgs& args) {
  const TensorView& dy = args.operands[0];
  const TensorView& x = args.operands[1];
  const TensorView& dw = args.results[0];
  const ConvGeometry g = GeometryOf(x.shape, dw.shape, dy.shape, args.Attr<ConvGradAttrs>());
  Gemm(GradFilterProblem(g, dy.as<float>(), x.as<float>(), dw.as<float>()), args.scratch,
       args.pool);
}

}  // namespace pocketune
