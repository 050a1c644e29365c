// Sums, means and maxima over any dimensions.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/reduction.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/columns-inl.h"
#include "backends/cpu/kernels/reduction.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

template <class Op>
struct FoldValues {
  static constexpr int kValues = 1;
  static constexpr float kInit = Op::kInit;
  const float* x;
  template <class Access>
  HWY_INLINE void operator()(const Access& access, int64_t at, int64_t, VF* folded) const {
    folded[0] = Op()(folded[0], access.Load(x + at));
  }
};

// The innermost dimension is kept: folds rows into columns.
template <class Op>
void ReduceColumns(const KernelArgs& args, const Reduction& r, double factor) {
  const float* x = args.operands[0].as<float>();
  float* y = args.results[0].as<float>();
  float* partial = static_cast<float*>(args.scratch);
  const ColumnBlocks shape = r.columns();
  const int64_t width = shape.columns;
  shape.ParallelParts(args.pool, [&](const ColumnBlocks::Part& part) HWY_ATTR {
    FoldColumns(
        FoldValues<Op>{x + r.kept.Offset(part.outer, 0)}, part,
        [&](int64_t row) { return r.reduced.Offset(row, 0); }, partial + part.block * width, width);
  });
  shape.ParallelCombine(args.pool, [&](int64_t outer, int64_t begin, int64_t end) HWY_ATTR {
    const float* blocks = partial + outer * shape.blocks() * width;
    CombineBlocks<Op>(
        shape.blocks(), begin, end,
        [&](int64_t b, int64_t c) HWY_ATTR { return double{blocks[b * width + c]}; },
        [&](int64_t c, double v)
            HWY_ATTR { y[outer * width + c] = static_cast<float>(v * factor); });
  });
}

// The innermost dimension is reduced: folds each row, in segments, into one value.
template <class Op>
void ReduceRows(const KernelArgs& args, const Reduction& r, double factor) {
  const float* x = args.operands[0].as<float>();
  float* y = args.results[0].as<float>();
  double* partial = static_cast<double*>(args.scratch);
  const int64_t segments = r.segments();
  const int64_t rows = r.reduced.Steps();
  ParallelPieces(args.pool, r.kept.Steps() * rows * segments, RowsPerItem(r.inner),
                 [&](int64_t i, int64_t end) HWY_ATTR {
                   for (; i < end; ++i) {
                     const int64_t row = i / segments;
                     const int64_t at = i % segments * Reduction::kSegment;
                     const int64_t start =
                         r.kept.Offset(row / rows, 0) + r.reduced.Offset(row % rows, 0) + at;
                     partial[i] = Fold<Op>(Identity(), std::min(Reduction::kSegment, r.inner - at),
                                           Array{x + start});
                   }
                 });
  const int64_t parts = rows * segments;
  ParallelPieces(args.pool, r.kept.Steps(), RowsPerItem(parts), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double folded = static_cast<double>(Op::kInit);
      for (int64_t p = 0; p < parts; ++p) folded = Op::Scalar(folded, partial[i * parts + p]);
      y[i] = static_cast<float>(folded * factor);
    }
  });
}

template <class Op>
void Reduce(const KernelArgs& args, double factor) {
  const Reduction r(args.operands[0].shape, args.Attr<ReduceAttrs>().axes);
  if (r.inner_kept) {
    ReduceColumns<Op>(args, r, factor);
  } else {
    ReduceRows<Op>(args, r, factor);
  }
}

void RunReduceSum(const KernelArgs& args) { Reduce<SumOf>(args, 1.0); }
void RunReduceMean(const KernelArgs& args) {
  const auto elems = static_cast<double>(args.operands[0].shape.elems());
  Reduce<SumOf>(args, static_cast<double>(args.results[0].shape.elems()) / elems);
}
void RunReduceMax(const KernelArgs& args) { Reduce<MaxOf>(args, 1.0); }

struct CountTie {
  HWY_INLINE VF operator()(F32 d, VF x, VF y) const {
    return hn::IfThenElseZero(hn::Eq(x, y), hn::Set(d, 1.0f));
  }
};
struct AddTie {
  HWY_INLINE VF operator()(F32 d, VF count, VF x, VF y) const {
    return hn::Add(count, CountTie()(d, x, y));
  }
};
struct ShareOfTie {
  HWY_INLINE VF operator()(F32, VF x, VF y, VF share) const {
    return hn::IfThenElseZero(hn::Eq(x, y), share);
  }
};

// One piece of the columns of one kept index: shares = dy / number of ties, then dx row by row.
HWY_INLINE void SpreadColumns(const KernelArgs& args, const Reduction& r, int64_t outer,
                              int64_t begin, int64_t n) {
  const int64_t at = outer * r.inner + begin;
  const int64_t start = r.kept.Offset(outer, 0) + begin;
  const int64_t rows = r.reduced.Steps();
  const Array dy{args.operands[0].as<float>() + at};
  const float* x = args.operands[1].as<float>() + start;
  const Array y{args.operands[2].as<float>() + at};
  float* dx = args.results[0].as<float>() + start;
  float* share = static_cast<float*>(args.scratch) + at;
  std::fill_n(share, n, 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    Map(AddTie(), n, share, Array{share}, Array{x + r.reduced.Offset(row, 0)}, y);
  }
  const auto divide = [](F32, VF g, VF count) HWY_ATTR { return hn::Div(g, count); };
  Map(divide, n, share, dy, Array{share});
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t offset = r.reduced.Offset(row, 0);
    Map(ShareOfTie(), n, dx + offset, Array{x + offset}, y, Array{share});
  }
}

// All rows that belong to one result.
HWY_INLINE void SpreadRows(const KernelArgs& args, const Reduction& r, int64_t i) {
  const int64_t start = r.kept.Offset(i, 0);
  const int64_t rows = r.reduced.Steps();
  const float* x = args.operands[1].as<float>() + start;
  const Splat y{args.operands[2].as<float>()[i]};
  float* dx = args.results[0].as<float>() + start;
  double count = 0.0;
  for (int64_t row = 0; row < rows; ++row) {
    count += Fold<SumOf>(CountTie(), r.inner, Array{x + r.reduced.Offset(row, 0)}, y);
  }
  const Splat share{static_cast<float>(args.operands[0].as<float>()[i] / count)};
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t offset = r.reduced.Offset(row, 0);
    Map(ShareOfTie(), r.inner, dx + offset, Array{x + offset}, y, share);
  }
}

void RunReduceMaxGrad(const KernelArgs& args) {
  const Reduction r(args.operands[1].shape, args.Attr<ReduceAttrs>().axes);
  const int64_t rows = r.reduced.Steps();
  if (r.inner_kept) {
    constexpr int64_t kStrip = 256;
    const int64_t strips = CeilDiv(r.inner, kStrip);
    ParallelPieces(args.pool, r.kept.Steps() * strips,
                   RowsPerItem(rows * std::min(kStrip, r.inner)),
                   [&](int64_t i, int64_t end) HWY_ATTR {
                     for (; i < end; ++i) {
                       const int64_t begin = i % strips * kStrip;
                       SpreadColumns(args, r, i / strips, begin, std::min(kStrip, r.inner - begin));
                     }
                   });
  } else {
    ParallelPieces(args.pool, r.kept.Steps(), RowsPerItem(rows * r.inner),
                   [&](int64_t i, int64_t end) HWY_ATTR {
                     for (; i < end; ++i) SpreadRows(args, r, i);
                   });
  }
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {

int64_t ScratchReduceSum(const KernelQuery& query) {
  const Reduction r(query.operands[0].shape, std::get<ReduceAttrs>(*query.attrs).axes);
  if (r.inner_kept) return r.columns().PartialElems(1) * int64_t{sizeof(float)};
  return r.kept.Steps() * r.reduced.Steps() * r.segments() * int64_t{sizeof(double)};
}
int64_t ScratchReduceMean(const KernelQuery& query) { return ScratchReduceSum(query); }
int64_t ScratchReduceMax(const KernelQuery& query) { return ScratchReduceSum(query); }
int64_t ScratchReduceMaxGrad(const KernelQuery& query) {
  return query.operands[2].shape.elems() * int64_t{sizeof(float)};
}

PT_CPU_DISPATCH(ReduceSum)
PT_CPU_DISPATCH(ReduceMean)
PT_CPU_DISPATCH(ReduceMax)
PT_CPU_DISPATCH(ReduceMaxGrad)
}  // namespace pocketune
#endif  // HWY_ONCE
