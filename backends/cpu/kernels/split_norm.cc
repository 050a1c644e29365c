// Batch normalization by the statistics of a batch that runs part by part: moments of each sample,
// statistics from those of all, and the gradient's two passes as ops of their own.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/split_norm.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/kernels/normalization-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// One matrix of rows x channels per sample.
ColumnBlocks SampleBlocks(const Shape& x) { return {x[0], x.elems() / (x[0] * x[-1]), x[-1]}; }

void RunBatchNormMoments(const KernelArgs& args) {
  const float* x = args.operands[0].as<float>();
  float* moments = args.results[0].as<float>();
  const ColumnBlocks shape = SampleBlocks(args.operands[0].shape);
  const int64_t channels = shape.columns, sample = shape.rows * channels;
  float* partial = static_cast<float*>(args.scratch);
  shape.ParallelParts(args.pool, [&](const ColumnBlocks::Part& part) HWY_ATTR {
    FoldMoments(part, x + part.outer * sample, channels, partial);
  });
  shape.ParallelCombine(args.pool, [&](int64_t n, int64_t begin, int64_t end) HWY_ATTR {
    float* out = moments + n * 2 * channels;
    CombineMoments(shape, x + n * sample, partial + n * shape.blocks() * 2 * channels, begin, end,
                   [&](int64_t c, float mean, double squares) HWY_ATTR {
                     out[c] = mean;
                     out[channels + c] = static_cast<float>(squares);
                   });
  });
}

// Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
// Variances", 1979, for parts of equal size.
void RunBatchNormStatistics(const KernelArgs& args) {
  const int64_t samples = args.operands[0].shape[0], channels = args.operands[0].shape[2];
  const float* moments = args.operands[0].as<float>();
  const auto count = static_cast<double>(args.Attr<MomentsAttrs>().count);
  float* mean_out = args.results[0].as<float>();
  float* var_out = args.results[1].as<float>();
  const ColumnBlocks shape{1, samples, channels};
  shape.ParallelCombine(args.pool, [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    double mean[ColumnBlocks::kCombine];
    CombineBlocks<SumOf>(
        samples, begin, end,
        [&](int64_t n, int64_t c) HWY_ATTR { return double{moments[n * 2 * channels + c]}; },
        [&](int64_t c, double sum)
            HWY_ATTR { mean[c - begin] = sum / static_cast<double>(samples); });
    CombineBlocks<SumOf>(
        samples, begin, end,
        [&](int64_t n, int64_t c) HWY_ATTR {
          const double d = moments[n * 2 * channels + c] - mean[c - begin];
          return moments[(n * 2 + 1) * channels + c] + count * d * d;
        },
        [&](int64_t c, double squares) HWY_ATTR {
          if (mean_out != nullptr) mean_out[c] = static_cast<float>(mean[c - begin]);
          if (var_out == nullptr) return;
          var_out[c] = static_cast<float>(squares / (count * static_cast<double>(samples)));
        });
  });
}

// Calls fn(gate) with what the activation lets through. `factor` is filled for it.
template <class Fn>
void WithGate(Act act, const float* factor, const KernelArgs& args, size_t shift_at, const Fn& fn) {
  if (act == Act::kNone) return fn(NoGate());
  const float* shift = args.operands[shift_at].as<float>();
  if (act == Act::kRelu) return fn(ReluGate<false>{factor, shift});
  fn(ReluGate<true>{factor, shift});
}

void RunBatchNormGradParams(const KernelArgs& args) {
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  const NormAttrs& attrs = args.Attr<NormAttrs>();
  const float* var = args.operands[4].as<float>();
  float* factor = static_cast<float*>(args.scratch);
  float* partial = factor + shape.columns;
  FillFactor(args.operands[2].as<float>(), var, attrs.eps, shape.columns, factor);
  WithGate(attrs.act, factor, args, 5, [&](const auto& gate) {
    FoldGradients<2>(args, shape, args.operands[3].as<float>(), gate, partial);
  });
  float* const out[] = {args.results[0].as<float>(), args.results[1].as<float>()};
  shape.ParallelCombine(args.pool, [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    for (int value = 0; value < 2; ++value) {
      if (out[value] == nullptr) continue;
      CombineBlocks<SumOf>(
          shape.blocks(), begin, end,
          [&](int64_t b, int64_t c)
              HWY_ATTR { return double{partial[(b * 2 + value) * shape.columns + c]}; },
          [&](int64_t c, double sum) HWY_ATTR {
            out[value][c] = static_cast<float>(value == 0 ? sum * InvStd(var[c], attrs.eps) : sum);
          });
    }
  });
}

void RunBatchNormGradInput(const KernelArgs& args) {
  const int64_t channels = args.operands[0].shape[-1];
  const NormGradAttrs& attrs = args.Attr<NormGradAttrs>();
  const float* var = args.operands[4].as<float>();
  const float* dscale = args.operands[5].as<float>();
  const float* dshift = args.operands[6].as<float>();
  float* scratch = static_cast<float*>(args.scratch);
  const GradVectors v{scratch, scratch + channels, scratch + 2 * channels};
  FillFactor(args.operands[2].as<float>(), var, attrs.eps, channels, v.factor);
  const auto count = static_cast<double>(attrs.count);
  for (int64_t c = 0; c < channels; ++c) {
    v.dy_mean[c] = static_cast<float>(dshift[c] / count);
    v.slope[c] = static_cast<float>(dscale[c] * InvStd(var[c], attrs.eps) / count);
  }
  WithGate(attrs.act, v.factor, args, 7, [&](const auto& gate) { GradOfInput(args, gate, v); });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {

int64_t ScratchBatchNormMoments(const KernelQuery& query) {
  const Shape& x = query.operands[0].shape;
  const ColumnBlocks shape{x[0], x.elems() / (x[0] * x[-1]), x[-1]};
  return shape.PartialElems(2) * int64_t{sizeof(float)};
}
int64_t ScratchBatchNormGradParams(const KernelQuery& query) {
  const ColumnBlocks shape = ColumnBlocks::OverLast(query.operands[0].shape);
  return (shape.columns + shape.PartialElems(2)) * int64_t{sizeof(float)};
}
int64_t ScratchBatchNormGradInput(const KernelQuery& query) {
  return 3 * query.operands[0].shape[-1] * int64_t{sizeof(float)};
}

PT_CPU_DISPATCH(BatchNormMoments)
PT_CPU_DISPATCH(BatchNormStatistics)
PT_CPU_DISPATCH(BatchNormGradParams)
PT_CPU_DISPATCH(BatchNormGradInput)
}  // namespace pocketune
#endif  // HWY_ONCE
