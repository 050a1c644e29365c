// Batch normalization over all but the last dimension, and its gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/normalization.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include <cmath>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/columns-inl.h"
#include "backends/cpu/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// Distances from the first row, so that a mean far from zero costs no digits.
struct SumShifted {
  static constexpr int kValues = 1;
  static constexpr float kInit = 0.0f;
  const float* x;
  template <class Access>
  HWY_INLINE void operator()(const Access& access, int64_t at, int64_t c, VF* sums) const {
    sums[0] = hn::Add(sums[0], hn::Sub(access.Load(x + at), access.Load(x + c)));
  }
};

// Squared distances from the mean of those, `sum` / rows.
struct SumSquares {
  static constexpr int kValues = 1;
  static constexpr float kInit = 0.0f;
  const float* x;
  const float* sum;
  float one_over_rows;
  template <class Access>
  HWY_INLINE void operator()(const Access& access, int64_t at, int64_t c, VF* sums) const {
    const VF mean = hn::Mul(access.Load(sum + c), hn::Set(F32(), one_over_rows));
    const VF shifted = hn::Sub(access.Load(x + at), access.Load(x + c));
    const VF centered = hn::Sub(shifted, mean);
    sums[0] = hn::MulAdd(centered, centered, sums[0]);
  }
};

// What lets a gradient through where relu or relu6 let the normalized value through; the value is
// computed as the forward pass has it, to the bit. At(access, c) is the gate of the columns from c.
struct NoGate {
  template <class Access>
  HWY_INLINE NoGate At(const Access&, int64_t) const {
    return {};
  }
  HWY_INLINE VF operator()(VF dy, VF) const { return dy; }
};
template <bool kSix>
struct ColumnGate {
  VF factor, shift;
  HWY_INLINE VF operator()(VF dy, VF centered) const {
    const F32 d;
    const VF y = hn::MulAdd(centered, factor, shift);
    auto open = hn::Gt(y, hn::Zero(d));
    if constexpr (kSix) open = hn::And(open, hn::Lt(y, hn::Set(d, 6.0f)));
    return hn::IfThenElseZero(open, dy);
  }
};
template <bool kSix>
struct ReluGate {
  const float* factor;
  const float* shift;
  template <class Access>
  HWY_INLINE ColumnGate<kSix> At(const Access& access, int64_t c) const {
    return {access.Load(factor + c), access.Load(shift + c)};
  }
};

// dy (x - mean) and, with two values, dy.
template <int kCount, class Gate>
struct SumGradients {
  static constexpr int kValues = kCount;
  static constexpr float kInit = 0.0f;
  const float* dy;
  const float* x;
  const float* mean;
  Gate gate;
  template <class Access>
  HWY_INLINE void operator()(const Access& access, int64_t at, int64_t c, VF* sums) const {
    const VF centered = hn::Sub(access.Load(x + at), access.Load(mean + c));
    const VF g = gate.At(access, c)(access.Load(dy + at), centered);
    sums[0] = hn::MulAdd(g, centered, sums[0]);
    if constexpr (kCount == 2) sums[1] = hn::Add(sums[1], g);
  }
};

double InvStd(float var, double eps) { return 1.0 / std::sqrt(double{var} + eps); }

// y[row] = f(x[row], vectors...): sources of channels [C] repeat in each row.
template <class F, class... Channels>
void MapRows(const KernelArgs& args, const F& f, const float* x, const Channels*... channels) {
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  float* y = args.results[0].as<float>();
  ParallelPieces(args.pool, shape.rows, RowsPerItem(shape.columns),
                 [&](int64_t row, int64_t end) HWY_ATTR {
                   for (; row < end; ++row) {
                     const int64_t at = row * shape.columns;
                     Map(f, shape.columns, y + at, Array{x + at}, Array{channels}...);
                   }
                 });
}

template <class ActFn>
struct Normalize {
  HWY_INLINE VF operator()(F32 d, VF x, VF mean, VF factor, VF shift) const {
    return ActFn()(d, hn::MulAdd(hn::Sub(x, mean), factor, shift));
  }
};

// y = act((x - mean) factor + shift)
void RunNormalize(const KernelArgs& args, const float* mean, const float* factor) {
  const float* x = args.operands[0].as<float>();
  const float* shift = args.operands[2].as<float>();
  WithAct(args.Attr<NormAttrs>().act, [&](auto act) HWY_ATTR {
    MapRows(args, Normalize<decltype(act)>(), x, mean, factor, shift);
  });
}

// Each block's sum and squared distances from its own mean; combined as in Chan, Golub and LeVeque,
// "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
void RunBatchNorm(const KernelArgs& args) {
  const float* x = args.operands[0].as<float>();
  const float* scale = args.operands[1].as<float>();
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  const int64_t channels = shape.columns;
  float* mean = static_cast<float*>(args.scratch);
  float* factor = mean + channels;
  float* partial = factor + channels;  // [block][sum, squares][C]
  const auto row_offset = [&](int64_t row) { return row * channels; };
  shape.ParallelParts(args.pool, [&](const ColumnBlocks::Part& part) HWY_ATTR {
    float* sum = partial + part.block * 2 * channels;
    FoldColumns(SumShifted{x}, part, row_offset, sum, channels);
    const float one_over_rows = 1.0f / static_cast<float>(part.row_end - part.row_begin);
    FoldColumns(SumSquares{x, sum, one_over_rows}, part, row_offset, sum + channels, channels);
  });
  const auto rows = static_cast<double>(shape.rows);
  const double eps = args.Attr<NormAttrs>().eps;
  float* mean_out = args.results[1].as<float>();
  float* var_out = args.results[2].as<float>();
  shape.ParallelCombine(args.pool, [&](int64_t, int64_t begin, int64_t end) {
    CombineBlocks<SumOf>(
        shape.blocks(), begin, end,
        [&](int64_t b, int64_t c) { return double{partial[b * 2 * channels + c]}; },
        [&](int64_t c, double sum) { mean[c] = static_cast<float>(x[c] + sum / rows); });
    CombineBlocks<SumOf>(
        shape.blocks(), begin, end,
        [&](int64_t b, int64_t c) {
          const float* sum = partial + b * 2 * channels + c;
          const auto n = static_cast<double>(
              std::min(ColumnBlocks::kRows, shape.rows - b * ColumnBlocks::kRows));
          const double distance = *sum / n - (double{mean[c]} - x[c]);
          return sum[channels] + n * distance * distance;
        },
        [&](int64_t c, double squares) {
          const auto var = static_cast<float>(squares / rows);
          factor[c] = static_cast<float>(scale[c] * InvStd(var, eps));
          if (mean_out != nullptr) mean_out[c] = mean[c];
          if (var_out != nullptr) var_out[c] = var;
        });
  });
  if (args.results[0].data != nullptr) RunNormalize(args, mean, factor);
}

// factor[c] = scale[c] / sqrt(var[c] + eps)
void FillFactor(const float* scale, const float* var, double eps, int64_t channels, float* factor) {
  for (int64_t c = 0; c < channels; ++c) {
    factor[c] = static_cast<float>(scale[c] * InvStd(var[c], eps));
  }
}

void RunBatchNormFrozen(const KernelArgs& args) {
  float* factor = static_cast<float*>(args.scratch);
  FillFactor(args.operands[1].as<float>(), args.operands[4].as<float>(), args.Attr<NormAttrs>().eps,
             args.operands[0].shape[-1], factor);
  RunNormalize(args, args.operands[3].as<float>(), factor);
}

struct Scale {
  HWY_INLINE VF operator()(F32, VF x, VF factor) const { return hn::Mul(x, factor); }
};

void RunBatchNormFrozenGradInput(const KernelArgs& args) {
  float* factor = static_cast<float*>(args.scratch);
  FillFactor(args.operands[1].as<float>(), args.operands[2].as<float>(), args.Attr<NormAttrs>().eps,
             args.operands[0].shape[-1], factor);
  MapRows(args, Scale(), args.operands[0].as<float>(), factor);
}

// Folds SumGradients over the blocks: partial[block][kCount][C].
template <int kCount, class Gate>
void FoldGradients(const KernelArgs& args, const ColumnBlocks& shape, const float* mean,
                   const Gate& gate, float* partial) {
  const SumGradients<kCount, Gate> f{args.operands[0].as<float>(), args.operands[1].as<float>(),
                                     mean, gate};
  const int64_t channels = shape.columns;
  shape.ParallelParts(args.pool, [&](const ColumnBlocks::Part& part) HWY_ATTR {
    FoldColumns(
        f, part, [&](int64_t row) { return row * channels; },
        partial + part.block * kCount * channels, channels);
  });
}

void RunBatchNormFrozenGradScale(const KernelArgs& args) {
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  float* partial = static_cast<float*>(args.scratch);
  FoldGradients<1>(args, shape, args.operands[2].as<float>(), NoGate(), partial);
  const float* var = args.operands[3].as<float>();
  float* dscale = args.results[0].as<float>();
  const double eps = args.Attr<NormAttrs>().eps;
  shape.ParallelCombine(args.pool, [&](int64_t, int64_t begin, int64_t end) {
    CombineBlocks<SumOf>(
        shape.blocks(), begin, end,
        [&](int64_t b, int64_t c) { return double{partial[b * shape.columns + c]}; },
        [&](int64_t c, double sum) { dscale[c] = static_cast<float>(sum * InvStd(var[c], eps)); });
  });
}

// The vectors [C] between the two passes of the gradient.
struct GradVectors {
  float* factor;  // scale / deviation
  float* dy_mean;
  float* slope;  // of the gradient through the variance
};

// dx = factor ((dy - dy_mean) - (x - mean) slope), dy through the gate.
template <class Gate>
void GradOfInput(const KernelArgs& args, const Gate& gate, const GradVectors& v) {
  const float* dy = args.operands[0].as<float>();
  const float* x = args.operands[1].as<float>();
  const float* mean = args.operands[3].as<float>();
  float* dx = args.results[0].as<float>();
  const auto make = [&](const auto& access, int64_t c) HWY_ATTR {
    const auto open = gate.At(access, c);
    const VF m = access.Load(mean + c), factor = access.Load(v.factor + c);
    const VF dy_mean = access.Load(v.dy_mean + c), slope = access.Load(v.slope + c);
    return [=](const auto& at, int64_t i) HWY_ATTR {
      const VF centered = hn::Sub(at.Load(x + i), m);
      const VF g = hn::Sub(open(at.Load(dy + i), centered), dy_mean);
      at.Store(hn::Mul(factor, hn::NegMulAdd(centered, slope, g)), dx + i);
    };
  };
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  ParallelPieces(args.pool, shape.rows, RowsPerItem(shape.columns),
                 [&](int64_t begin, int64_t end)
                     HWY_ATTR { MapColumns(begin, end, shape.columns, make); });
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
  const auto at = [&](int64_t b, int64_t value, int64_t c) {
    return double{partial[(b * 2 + value) * shape.columns + c]};
  };
  shape.ParallelCombine(args.pool, [&](int64_t, int64_t begin, int64_t end) {
    CombineBlocks<SumOf>(
        shape.blocks(), begin, end, [&](int64_t b, int64_t c) { return at(b, 0, c); },
        [&](int64_t c, double sum) {
          const double inv_std = InvStd(var[c], eps);
          v.slope[c] = static_cast<float>(sum * inv_std * inv_std / rows);
          if (dscale != nullptr) dscale[c] = static_cast<float>(sum * inv_std);
        });
    CombineBlocks<SumOf>(
        shape.blocks(), begin, end, [&](int64_t b, int64_t c) { return at(b, 1, c); },
        [&](int64_t c, double sum) {
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
