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

// kVecs vectors of columns from `column` on. See FoldColumns.
template <int kVecs, class Access, class F, class RowOffset>
HWY_INLINE void FoldStrip(const F& f, const Access& access, const RowOffset& row_offset,
                          int64_t begin, int64_t end, int64_t column,
                          VF (&folded)[kVecs][F::kValues]) {
  const int64_t lanes = FloatLanes();
  for (int v = 0; v < kVecs; ++v) {
    for (int k = 0; k < F::kValues; ++k) folded[v][k] = hn::Set(F32(), F::kInit);
  }
  for (int64_t row = begin; row < end; ++row) {
    const int64_t at = row_offset(row) + column;
    for (int v = 0; v < kVecs; ++v) f(access, at + v * lanes, column + v * lanes, folded[v]);
  }
}

// Folds the part's rows: out[k * stride + c] for columns c of the part and F::kValues values.
// f(access, at, c, values) takes elements `at`.. of its arrays, columns c.., into the vectors
// `values`, which start as F::kInit; row_offset(row) is where a row starts.
template <class F, class RowOffset>
HWY_INLINE void FoldColumns(const F& f, const ColumnBlocks::Part& part, const RowOffset& row_offset,
                            float* out, int64_t stride) {
  constexpr int kVecs = 4 / F::kValues;
  const F32 d;
  const int64_t lanes = FloatLanes();
  int64_t c = part.column_begin;
  for (; c + kVecs * lanes <= part.column_end; c += kVecs * lanes) {
    VF folded[kVecs][F::kValues];
    FoldStrip(f, WholeVector(), row_offset, part.row_begin, part.row_end, c, folded);
    for (int v = 0; v < kVecs; ++v) {
      for (int k = 0; k < F::kValues; ++k) {
        hn::StoreU(folded[v][k], d, out + k * stride + c + v * lanes);
      }
    }
  }
  for (; c < part.column_end; c += lanes) {
    VF folded[1][F::kValues];
    const int64_t n = std::min(lanes, part.column_end - c);
    if (n == lanes) {
      FoldStrip(f, WholeVector(), row_offset, part.row_begin, part.row_end, c, folded);
    } else {
      FoldStrip(f, PartVector{n}, row_offset, part.row_begin, part.row_end, c, folded);
    }
    for (int k = 0; k < F::kValues; ++k) StoreSome(folded[0][k], out + k * stride + c, n);
  }
}

// Runs over the elements of rows [begin, end) of a matrix of `columns` columns, a few rows at a
// time and in them column by column: make(access, c) gives what computes the columns from c on,
// vectors of theirs in registers, and is called for each row as f(access, at), `at` the first
// element.
template <class Make>
HWY_INLINE void MapColumns(int64_t begin, int64_t end, int64_t columns, const Make& make) {
  constexpr int64_t kRows = 16;  // few enough that a block of two matrices stays in the first level
  for (int64_t row = begin; row < end; row += kRows) {
    const int64_t last = std::min(end, row + kRows);
    ForEachVector(columns, [&](const auto& access, int64_t c) HWY_ATTR {
      const auto f = make(access, c);
      for (int64_t r = row; r < last; ++r) f(access, r * columns + c);
    });
  }
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
