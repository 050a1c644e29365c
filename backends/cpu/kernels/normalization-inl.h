// What the normalizations by the batch and their gradients have in common, whether they take the
// batch at once or part by part.
#if defined(POCKETUNE_CPU_NORMALIZATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_CPU_NORMALIZATION_INL_H_
#undef POCKETUNE_CPU_NORMALIZATION_INL_H_
#else
#define POCKETUNE_CPU_NORMALIZATION_INL_H_
#endif

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
    return PassWhere(open, dy);
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

inline double InvStd(float var, double eps) { return 1.0 / std::sqrt(double{var} + eps); }

// Each block's sum of distances from the first row of the matrix x and squared distances from their
// mean: partial[block][2][C].
inline void FoldMoments(const ColumnBlocks::Part& part, const float* x, int64_t channels,
                        float* partial) {
  const auto row_offset = [&](int64_t row) { return row * channels; };
  float* sum = partial + part.block * 2 * channels;
  FoldColumns(SumShifted{x}, part, row_offset, sum, channels);
  const float one_over_rows = 1.0f / static_cast<float>(part.row_end - part.row_begin);
  FoldStrips(SumSquares{x, sum, one_over_rows}, part, row_offset, sum + channels, channels);
}

// From those of the blocks of one matrix fn(c, mean, sum of squared distances from it), as in Chan,
// Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
// 1979.
template <class Fn>
void CombineMoments(const ColumnBlocks& shape, const float* x, const float* partial, int64_t begin,
                    int64_t end, const Fn& fn) {
  const int64_t channels = shape.columns;
  const auto rows = static_cast<double>(shape.rows);
  float mean[ColumnBlocks::kCombine];
  CombineBlocks<SumOf>(
      shape.blocks(), begin, end,
      [&](int64_t b, int64_t c) HWY_ATTR { return double{partial[b * 2 * channels + c]}; },
      [&](int64_t c, double sum)
          HWY_ATTR { mean[c - begin] = static_cast<float>(x[c] + sum / rows); });
  CombineBlocks<SumOf>(
      shape.blocks(), begin, end,
      [&](int64_t b, int64_t c) HWY_ATTR {
        const float* sum = partial + b * 2 * channels + c;
        const auto n = static_cast<double>(
            std::min(ColumnBlocks::kRows, shape.rows - b * ColumnBlocks::kRows));
        const double distance = *sum / n - (double{mean[c - begin]} - x[c]);
        return sum[channels] + n * distance * distance;
      },
      [&](int64_t c, double squares) HWY_ATTR { fn(c, mean[c - begin], squares); });
}

// factor[c] = scale[c] / sqrt(var[c] + eps)
inline void FillFactor(const float* scale, const float* var, double eps, int64_t channels,
                       float* factor) {
  for (int64_t c = 0; c < channels; ++c) {
    factor[c] = static_cast<float>(scale[c] * InvStd(var[c], eps));
  }
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

// MapColumns over the channels of operand 0.
template <class Make>
void MapChannels(const KernelArgs& args, const Make& make) {
  const ColumnBlocks shape = ColumnBlocks::OverLast(args.operands[0].shape);
  ParallelPieces(args.pool, shape.rows, RowsPerItem(shape.columns),
                 [&](int64_t begin, int64_t end)
                     HWY_ATTR { MapColumns(begin, end, shape.columns, make); });
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
    const VF m = access.Load(mean + c), factor = access.Load(v.factor + c);
    const VF dy_mean = access.Load(v.dy_mean + c), slope = access.Load(v.slope + c);
    // The gate is made in place: GCC copies a structure of vectors in halves, and AVX2 then waits
    // for each of its loads.
    return [=, open = gate.At(access, c)](const auto& at, int64_t i) HWY_ATTR {
      const VF centered = hn::Sub(at.Load(x + i), m);
      const VF g = hn::Sub(open(at.Load(dy + i), centered), dy_mean);
      at.Store(hn::Mul(factor, hn::NegMulAdd(centered, slope, g)), dx + i);
    };
  };
  MapChannels(args, make);
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
