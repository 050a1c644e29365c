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

// Takes one row, whose first element is `at`, into out. See FoldColumns.
template <class F>
HWY_INLINE void FoldRow(const F& f, int64_t at, int64_t begin, int64_t end, float* out,
                        int64_t stride) {
  ForEachVector(end - begin, [&](const auto& access, int64_t i) HWY_ATTR {
    const int64_t c = begin + i;
    VF folded[F::kValues];
    for (int k = 0; k < F::kValues; ++k) folded[k] = access.Load(out + k * stride + c);
    f(access, at + c, c, folded);
    for (int k = 0; k < F::kValues; ++k) access.Store(folded[k], out + k * stride + c);
  });
}

// Takes kVecs vectors of all rows, the columns from `column` on, into `out`.
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

// Folds the part's rows: out[k * stride + c] for columns c of the part and F::kValues values.
// f(access, at, c, values) takes elements `at`.. of its arrays, columns c.., into the vectors
// `values`, which start as F::kInit; row_offset(row) is where a row starts. Strips of columns, one
// after the other, are summed in registers: for rows that are short, or in a cache already.
template <class F, class RowOffset>
HWY_INLINE void FoldStrips(const F& f, const ColumnBlocks::Part& part, const RowOffset& row_offset,
                           float* out, int64_t stride) {
  constexpr int kVecs = 4;
  const int64_t wide = kVecs * FloatLanes();
  int64_t c = part.column_begin;
  for (; c + wide <= part.column_end; c += wide) {
    FoldStrip<kVecs>(f, WholeVector(), row_offset, part, c, out, stride);
  }
  ForEachVector(part.column_end - c, [&](const auto& access, int64_t i) HWY_ATTR {
    FoldStrip<1>(f, access, row_offset, part, c + i, out, stride);
  });
}

// The same, to the bit, for rows in memory: long ones are taken in their order, since memory is
// read twice as fast without gaps.
template <class F, class RowOffset>
HWY_INLINE void FoldColumns(const F& f, const ColumnBlocks::Part& part, const RowOffset& row_offset,
                            float* out, int64_t stride) {
  constexpr int64_t kShort = 64;
  const int64_t begin = part.column_begin, end = part.column_end;
  if (end - begin <= kShort) return FoldStrips(f, part, row_offset, out, stride);
  for (int k = 0; k < F::kValues; ++k) {
    std::fill(out + k * stride + begin, out + k * stride + end, F::kInit);
  }
  for (int64_t row = part.row_begin; row < part.row_end; ++row) {
    FoldRow(f, row_offset(row), begin, end, out, stride);
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
