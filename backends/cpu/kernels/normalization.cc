// Batch normalization over all but the last dimension, and its gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/normalization.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include <cmath>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/normalization-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// y = act((x - mean) factor + shift)
void RunNormalize(const KernelArgs& args, const float* mean, const float* factor) {
  const float* x = args.operands[0].as<float>();
  const float* shift = args.operands[2].as<float>();
  float* y = args.results[0].as<float>();
  WithAct(args.Attr<NormAttrs>().act, [&](auto act) HWY_ATTR {
    MapChannels(args, [&](const auto& access, int64_t c) HWY_ATTR {
      const VF m = access.Load(mean + c), f = access.Load(factor + c), s = access.Load(shift + c);
      return [=](const auto& at, int64_t i) HWY_ATTR {
        at.Store(act(F32(), hn::MulAdd(hn::Sub(at.Load(x + i), m), f, s)), y + i);
      };
    });
  });
}

void RunBatchNorm(const KernelArgs& args) {
  const float* x = args.operands[0].as<float>();
  const float* scale = args.operands[1].as<float>();
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  float* mean = static_cast<float*>(args.scratch);
  float* factor = mean + shape.columns;
  float* partial = factor + shape.columns;
  shape.ParallelParts(args.pool, [&](const ColumnBlocks::Part& part)
                                     HWY_ATTR { FoldMoments(part, x, shape.columns, partial); });
  const double eps = args.Attr<NormAttrs>().eps;
  float* mean_out = args.results[1].as<float>();
  float* var_out = args.results[2].as<float>();
  shape.ParallelCombine(args.pool, [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    CombineMoments(shape, x, partial, begin, end, [&](int64_t c, float m, double squares) HWY_ATTR {
      const auto var = static_cast<float>(squares / static_cast<double>(shape.rows));
      mean[c] = m;
      factor[c] = static_cast<float>(scale[c] * InvStd(var, eps));
      if (mean_out != nullptr) mean_out[c] = m;
      if (var_out != nullptr) var_out[c] = var;
    });
  });
  if (args.results[0].data != nullptr) RunNormalize(args, mean, factor);
}

void RunBatchNormFrozen(const KernelArgs& args) {
  float* factor = static_cast<float*>(args.scratch);
  FillFactor(args.operands[1].as<float>(), args.operands[4].as<float>(), args.Attr<NormAttrs>().eps,
             args.operands[0].shape[-1], factor);
  RunNormalize(args, args.operands[3].as<float>(), factor);
}

void RunBatchNormFrozenGradInput(const KernelArgs& args) {
  float* factor = static_cast<float*>(args.scratch);
  FillFactor(args.operands[1].as<float>(), args.operands[2].as<float>(), args.Attr<NormAttrs>().eps,
             args.operands[0].shape[-1], factor);
  const float* dy = args.operands[0].as<float>();
  float* dx = args.results[0].as<float>();
  MapChannels(args, [&](const auto& access, int64_t c) HWY_ATTR {
    const VF f = access.Load(factor + c);
    return [=](const auto& at, int64_t i)
               HWY_ATTR { at.Store(hn::Mul(at.Load(dy + i), f), dx + i); };
  });
}

void RunBatchNormFrozenGradScale(const KernelArgs& args) {
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  float* partial = static_cast<float*>(args.scratch);
  FoldGradients<1>(args, shape, args.operands[2].as<float>(), NoGate(), partial);
  const float* var = args.operands[3].as<float>();
  float* dscale = args.results[0].as<float>();
  const double eps = args.Attr<NormAttrs>().eps;
  shape.ParallelCombine(args.pool, [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    CombineBlocks<SumOf>(
        shape.blocks(), begin, end,
        [&](int64_t b, int64_t c) HWY_ATTR { return double{partial[b * shape.columns + c]}; },
        [&](int64_t c, double sum)
            HWY_ATTR { dscale[c] = static_cast<float>(sum * InvStd(var[c], eps)); });
  });
}

// From the partial sums of dy (x - mean) and dy the gradients of scale and shift, and what the
// second pass needs.
void CombineGradients(const KernelArgs& args, const ColumnBlocks& shape, const float* partial,
                      const GradVectors& v) {
  const float* var = args.operands[4].as<float>();
  const double eps = args.Attr<NormAttrs>().eps;
  float* dscale = args.results[1].as<float>();
  float* dshift = args.results[2].as<float>();
  const auto rows = static_cast<double>(shape.rows);
  const auto at = [&](int64_t b, int64_t value, int64_t c)
                      HWY_ATTR { return double{partial[(b * 2 + value) * shape.columns + c]}; };
  shape.ParallelCombine(args.pool, [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    CombineBlocks<SumOf>(
        shape.blocks(), begin, end, [&](int64_t b, int64_t c) HWY_ATTR { return at(b, 0, c); },
        [&](int64_t c, double sum) HWY_ATTR {
          const double inv_std = InvStd(var[c], eps);
          v.slope[c] = static_cast<float>(sum * inv_std * inv_std / rows);
          if (dscale != nullptr) dscale[c] = static_cast<float>(sum * inv_std);
        });
    CombineBlocks<SumOf>(
        shape.blocks(), begin, end, [&](int64_t b, int64_t c) HWY_ATTR { return at(b, 1, c); },
        [&](int64_t c, double sum) HWY_ATTR {
          v.dy_mean[c] = static_cast<float>(sum / rows);
          if (dshift != nullptr) dshift[c] = static_cast<float>(sum);
        });
  });
}

template <class Gate>
void RunGrad(const KernelArgs& args, const Gate& gate, const GradVectors& v, float* partial) {
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  FoldGradients<2>(args, shape, args.operands[3].as<float>(), gate, partial);
  CombineGradients(args, shape, partial, v);
  if (args.results[0].data != nullptr) GradOfInput(args, gate, v);
}

void RunBatchNormGrad(const KernelArgs& args) {
  const int64_t channels = args.operands[0].shape[-1];
  float* scratch = static_cast<float*>(args.scratch);
  const GradVectors v{scratch, scratch + channels, scratch + 2 * channels};
  float* partial = scratch + 3 * channels;
  const NormAttrs& attrs = args.Attr<NormAttrs>();
  FillFactor(args.operands[2].as<float>(), args.operands[4].as<float>(), attrs.eps, channels,
             v.factor);
  if (attrs.act == Act::kNone) return RunGrad(args, NoGate(), v, partial);
  const float* shift = args.operands[5].as<float>();
  if (attrs.act == Act::kRelu) return RunGrad(args, ReluGate<false>{v.factor, shift}, v, partial);
  RunGrad(args, ReluGate<true>{v.factor, shift}, v, partial);
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
namespace {

// `vectors` vectors of channels and the partial sums of `values` per channel.
int64_t ScratchFor(const KernelQuery& query, int vectors, int values) {
  const ColumnBlocks shape = ColumnBlocks::OverLast(query.operands[0].shape);
  return (vectors * shape.columns + shape.PartialElems(values)) * int64_t{sizeof(float)};
}

}  // namespace

int64_t ScratchBatchNorm(const KernelQuery& query) { return ScratchFor(query, 2, 2); }
int64_t ScratchBatchNormFrozen(const KernelQuery& query) { return ScratchFor(query, 1, 0); }
int64_t ScratchBatchNormFrozenGradInput(const KernelQuery& query) {
  return ScratchFor(query, 1, 0);
}
int64_t ScratchBatchNormFrozenGradScale(const KernelQuery& query) {
  return ScratchFor(query, 0, 1);
}
int64_t ScratchBatchNormGrad(const KernelQuery& query) { return ScratchFor(query, 3, 2); }

PT_CPU_DISPATCH(BatchNorm)
PT_CPU_DISPATCH(BatchNormFrozen)
PT_CPU_DISPATCH(BatchNormGrad)
PT_CPU_DISPATCH(BatchNormFrozenGradInput)
PT_CPU_DISPATCH(BatchNormFrozenGradScale)
}  // namespace pocketune
#endif  // HWY_ONCE
