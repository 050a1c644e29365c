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

// Folds the rows of kVecs vectors of columns from part.column_begin on, and sets it behind them, as
// often as they fit.
template <int kVecs, class F, class RowOffset>
HWY_INLINE void FoldWhole(const F& f, const RowOffset& row_offset, float* out, int64_t stride,
                          ColumnBlocks::Part* part) {
  const int64_t lanes = FloatLanes();
  int64_t& c = part->column_begin;
  for (; c + kVecs * lanes <= part->column_end; c += kVecs * lanes) {
    VF folded[kVecs][F::kValues];
    FoldStrip(f, WholeVector(), row_offset, part->row_begin, part->row_end, c, folded);
    for (int v = 0; v < kVecs; ++v) {
      for (int k = 0; k < F::kValues; ++k) {
        hn::StoreU(folded[v][k], F32(), out + k * stride + c + v * lanes);
      }
    }
  }
}

// Folds the part's rows: out[k * stride + c] for columns c of the part and F::kValues values.
// f(access, at, c, values) takes elements `at`.. of its arrays, columns c.., into the vectors
// `values`, which start as F::kInit; row_offset(row) is where a row starts. Strips are as wide as
// rows where the registers allow: from memory, a matrix is read three times as fast without gaps.
template <class F, class RowOffset>
HWY_INLINE void FoldColumns(const F& f, ColumnBlocks::Part part, const RowOffset& row_offset,
                            float* out, int64_t stride) {
  if constexpr (HWY_TARGET == HWY_AVX3) {  // 32 registers of 16 floats: 192 and 144 columns
    if constexpr (F::kValues == 1) FoldWhole<12>(f, row_offset, out, stride, &part);
    FoldWhole<9>(f, row_offset, out, stride, &part);
  }
  FoldWhole<6>(f, row_offset, out, stride, &part);
  FoldWhole<4>(f, row_offset, out, stride, &part);
  if constexpr (HWY_TARGET == HWY_AVX3) FoldWhole<3>(f, row_offset, out, stride, &part);
  FoldWhole<2>(f, row_offset, out, stride, &part);
  FoldWhole<1>(f, row_offset, out, stride, &part);
  if (part.column_begin == part.column_end) return;
  const int64_t n = part.column_end - part.column_begin;
  VF folded[1][F::kValues];
  FoldStrip(f, PartVector{n}, row_offset, part.row_begin, part.row_end, part.column_begin, folded);
  for (int k = 0; k < F::kValues; ++k) {
    StoreSome(folded[0][k], out + k * stride + part.column_begin, n);
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
