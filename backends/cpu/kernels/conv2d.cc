// Convolution and its gradients as matrix products over image patches (gemm.h). Nothing is
// unfolded in memory: patches are packed panel by panel.
#include "backends/cpu/kernels/conv2d.h"

#include <numeric>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/gemm.h"
#include "backends/cpu/packed_weights.h"
#include "engine/base/math.h"

namespace pocketune {
namespace {

// C[pixel, o] = sum over (tap, c) of patch[pixel, (tap, c)] * w[o, (tap, c)], per group.
GemmProblem ForwardProblem(const ConvGeometry& g, const float* x, const float* w, const float* bias,
                           float* y, Act act) {
  GemmProblem p;
  p.m = g.batch * g.out_h * g.out_w;
  p.n = g.group_out;
  p.k = g.kernel_h * g.kernel_w * g.group_in;
  p.batch = g.groups;
  p.a = InputPatches(g, x, GemmOperand::Kind::kPatches);
  p.a.batch_step = g.group_in;
  p.b = MatrixOperand(w, p.k, false);
  p.b.batch_step = p.n * p.k;
  p.c = MatrixOutput(y, g.out_channels());
  p.c.batch_step = g.group_out;
  p.bias = bias;
  p.bias_batch_step = g.group_out;
  p.act = act;
  return p;
}

GemmProblem ProblemOf(const KernelQuery& query) {
  const ConvAttrs& attrs = std::get<ConvAttrs>(*query.attrs);
  const ConvGeometry g =
      GeometryOf(query.operands[0].shape, query.operands[1].shape, query.results[0].shape, attrs);
  return ForwardProblem(g, nullptr, nullptr, nullptr, nullptr, attrs.act);
}

GemmProblem ProblemOf(const KernelArgs& args) {
  const TensorView& x = args.operands[0];
  const TensorView& w = args.operands[1];
  const TensorView& y = args.results[0];
  const ConvAttrs& attrs = args.Attr<ConvAttrs>();
  const float* bias = args.operands.size() > 2 ? args.operands[2].as<float>() : nullptr;
  const ConvGeometry g = GeometryOf(x.shape, w.shape, y.shape, attrs);
  return ForwardProblem(g, x.as<float>(), w.as<float>(), bias, y.as<float>(), attrs.act);
}

}  // namespace

TapLine ForwardLine(int64_t out, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  return {out, kernel, 0, 1, stride, -pad, dilation, 0, 1};
}

// Tap k reaches input position h from output position (h + pad - k * dilation) / stride, where that
// division leaves no rest. The highest such tap comes first, so that positions rise with t.
TapLine GradLine(int64_t phase, int64_t in, int64_t kernel, int64_t stride, int64_t pad,
                 int64_t dilation) {
  // Without the divisions, which would take longer than a short row.
  if (stride == 1) {
    return {in, kernel, 0, 1, 1, pad - (kernel - 1) * dilation, dilation, kernel - 1, -1};
  }
  const int64_t tap_step = stride / std::gcd(stride, dilation);
  const int64_t step = tap_step * dilation / stride;
  TapLine line{CeilDiv(in - phase, stride), 0, phase, stride, 1, 0, step, 0, -tap_step};
  for (int64_t k = 0; k < kernel; ++k) {
    const int64_t at = phase + pad - k * dilation;
    if (at % stride != 0) continue;
    ++line.taps;
    line.first_tap = k;
    line.origin = at / stride;
  }
  return line;
}

GemmOperand InputPatches(const ConvGeometry& g, const float* x, GemmOperand::Kind kind) {
  if (g.pointwise()) {
    return MatrixOperand(x, g.in_channels(), kind == GemmOperand::Kind::kPatchesAcross);
  }
  GemmOperand o;
  o.kind = kind;
  o.data = x;
  o.grid.height = g.in_h;
  o.grid.width = g.in_w;
  o.grid.pixel = g.in_channels();
  o.grid.channels = g.group_in;
  o.grid.rows = g.out_h;
  o.grid.cols = g.out_w;
  o.grid.stride_h = g.stride_h;
  o.grid.stride_w = g.stride_w;
  o.grid.origin_h = -g.pad_top;
  o.grid.origin_w = -g.pad_left;
  o.grid.taps_h = g.kernel_h;
  o.grid.taps_w = g.kernel_w;
  o.grid.step_h = g.dilation_h;
  o.grid.step_w = g.dilation_w;
  return o;
}

int64_t ScratchConv2d(const KernelQuery& query) {
  return GemmScratchBytes(ProblemOf(query), query.slots);
}

void RunConv2d(const KernelArgs& args) { Gemm(ProblemOf(args), args.scratch, args.pool); }

bool PackedConv2d::Supports(const KernelQuery& query) {
  return HasFrozenWeights(query) && PackingPays(ProblemOf(query));
}
int64_t PackedConv2d::ScratchBytes(const KernelQuery& query) {
  return PackedScratchBytes(ProblemOf(query), query.slots);
}
int64_t PackedConv2d::StateBytes(const KernelQuery& query) {
  return PackedStateBytes(ProblemOf(query));
}
Status PackedConv2d::Prepare(const KernelArgs& args, void** state) {
  return PrepareGemm(ProblemOf(args), state);
}
void PackedConv2d::Run(const KernelArgs& args) { RunPreparedGemm(ProblemOf(args), args); }

}  // namespace pocketune
