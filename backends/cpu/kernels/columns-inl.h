// Folds over the rows of matrices, vectorised over columns, compiled once per SIMD target.

#if defined(POCKETUNE_CPU_COLUMNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_CPU_COLUMNS_INL_H_
#undef POCKETUNE_CPU_COLUMNS_INL_H_
#else
#define POCKETUNE_CPU_COLUMNS_INL_H_
#endif

#include "backends/cpu/kernels/columns.h"
#include "backends/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// kVecs vectors of columns from `column` on, of all rows. See FoldColumns.
template <int kVecs, class Access, class F, class RowOffset>
HWY_INLINE void FoldStrip(const F& f, const Access& access, const RowOffset& row_offset,
                          const ColumnBlocks::Part& part, int64_t column, float* out,
                          int64_t stride) {
  const int64_t lanes = FloatLanes();
  VF folded[kVecs][F::kValues];
  for (int v = 0; v < kVecs; ++v) {
    for (int k = 0; k < F::kValues; ++k) folded[v][k] = hn::Set(F32(), F::kInit);
  }
  for (int64_t row = part.row_begin; row < part.row_end; ++row) {
    const int64_t at = row_offset(row) + column;
    for (int v = 0; v < kVecs; ++v) f(access, at + v * lanes, column + v * lanes, folded[v]);
  }
  for (int v = 0; v < kVecs; ++v) {
    for (int k = 0; k < F::kValues; ++k) {
      access.Store(folded[v][k], out + k * stride + column + v * lanes);
    }
  }
}

// Folds strips of kVecs vectors from part->column_begin on, and sets it behind them, as often as
// they fit.
template <int kVecs, class F, class RowOffset>
HWY_INLINE void FoldWhole(const F& f, const RowOffset& row_offset, float* out, int64_t stride,
                          ColumnBlocks::Part* part) {
  const int64_t columns = kVecs * FloatLanes();
  for (; part->column_begin + columns <= part->column_end; part->column_begin += columns) {
    FoldStrip<kVecs>(f, WholeVector(), row_offset, *part, part->column_begin, out, stride);
  }
}

// Vectors that the widest strip has: what the registers hold.
template <class F>
constexpr int WidestStrip() {
  if (HWY_TARGET == HWY_AVX3) return F::kValues == 1 ? 12 : 9;
  return 6;
}

// FoldColumns for rows in a cache: strips are summed in registers, one after the other.
template <class F, class RowOffset>
HWY_INLINE void FoldStrips(const F& f, ColumnBlocks::Part part, const RowOffset& row_offset,
                           float* out, int64_t stride) {
  if constexpr (WidestStrip<F>() >= 12) FoldWhole<12>(f, row_offset, out, stride, &part);
  if constexpr (WidestStrip<F>() >= 9) FoldWhole<9>(f, row_offset, out, stride, &part);
  FoldWhole<6>(f, row_offset, out, stride, &part);
  FoldWhole<4>(f, row_offset, out, stride, &part);
  if constexpr (HWY_TARGET == HWY_AVX3) FoldWhole<3>(f, row_offset, out, stride, &part);
  FoldWhole<2>(f, row_offset, out, stride, &part);
  FoldWhole<1>(f, row_offset, out, stride, &part);
  if (part.column_begin == part.column_end) return;
  const PartVector rest{part.column_end - part.column_begin};
  FoldStrip<1>(f, rest, row_offset, part, part.column_begin, out, stride);
}

// Folds the part's rows: out[k * stride + c] for columns c of the part and F::kValues values.
// f(access, at, c, values) takes elements `at`.. of its arrays, columns c.., into the vectors
// `values`, which start as F::kInit; row_offset(row) is where a row starts. Rows that are wider
// than a strip are added to `out` one after the other: memory is read twice as fast without gaps.
template <class F, class RowOffset>
HWY_INLINE void FoldColumns(const F& f, const ColumnBlocks::Part& part, const RowOffset& row_offset,
                            float* out, int64_t stride) {
  const int64_t begin = part.column_begin, columns = part.column_end - begin;
  if (columns <= WidestStrip<F>() * FloatLanes()) {
    return FoldStrips(f, part, row_offset, out, stride);
  }
  for (int k = 0; k < F::kValues; ++k) std::fill_n(out + k * stride + begin, columns, F::kInit);
  for (int64_t row = part.row_begin; row < part.row_end; ++row) {
    const int64_t at = row_offset(row) + begin;
    ForEachVector(columns, [&](const auto& access, int64_t i) HWY_ATTR {
      float* const to = out + begin + i;
      VF folded[F::kValues];
      for (int k = 0; k < F::kValues; ++k) folded[k] = access.Load(to + k * stride);
      f(access, at + i, begin + i, folded);
      for (int k = 0; k < F::kValues; ++k) access.Store(folded[k], to + k * stride);
    });
  }
}

// Folds value(block, column) over n blocks in double and in their order, for the columns
// [begin, end), at most ColumnBlocks::kCombine; then calls fn(column, folded). Both have HWY_ATTR,
// so that the loop over columns becomes one over vectors.
template <class Op, class Value, class Fn>
HWY_INLINE void CombineBlocks(int64_t n, int64_t begin, int64_t end, const Value& value,
                              const Fn& fn) {
  double folded[ColumnBlocks::kCombine];
  std::fill_n(folded, ColumnBlocks::kCombine, static_cast<double>(Op::kInit));
  for (int64_t b = 0; b < n; ++b) {
    for (int64_t c = begin; c < end; ++c) {
      folded[c - begin] = Op::Scalar(folded[c - begin], value(b, c));
    }
  }
  for (int64_t c = begin; c < end; ++c) fn(c, folded[c - begin]);
}

// Runs over the elements of rows [begin, end) of a matrix of `columns` columns: make(access, c)
// gives what computes the columns from c on, vectors of theirs in registers, and is called as
// f(access, at), `at` the first element. A few short rows share what `make` has loaded; long ones
// go one by one, since gaps in a stream from memory are slow.
template <class Make>
HWY_INLINE void MapColumns(int64_t begin, int64_t end, int64_t columns, const Make& make) {
  constexpr int64_t kFloats = 128;
  const int64_t rows = std::max<int64_t>(1, kFloats / std::max<int64_t>(1, columns));
  for (int64_t row = begin; row < end; row += rows) {
    const int64_t last = std::min(end, row + rows);
    ForEachVector(columns, [&](const auto& access, int64_t c) HWY_ATTR {
      const auto f = make(access, c);
      for (int64_t r = row; r < last; ++r) f(access, r * columns + c);
    });
  }
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
