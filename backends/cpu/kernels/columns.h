// How a fold over the rows of a matrix is cut: into blocks of rows whose partial results are later
// combined in double, and into strips of columns. The cut depends on the shape alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/math.h"
#include "engine/base/thread_pool.h"
#include "pocketune/types.h"

namespace pocketune {

// `outer` matrices of `rows` x `columns`.
struct ColumnBlocks {
  static constexpr int64_t kRows = 64;      // of a block: few enough to add up in float
  static constexpr int64_t kColumns = 512;  // of a strip

  int64_t outer;
  int64_t rows;
  int64_t columns;

  // A tensor as one matrix whose columns are its last dimension.
  static ColumnBlocks OverLast(const Shape& shape) {
    const int64_t columns = shape[-1];
    return {1, columns == 0 ? 0 : shape.elems() / columns, columns};
  }

  int64_t blocks() const { return CeilDiv(rows, kRows); }
  // Partial results with `values` numbers per column: [outer][block][value][column].
  int64_t PartialElems(int values) const { return outer * blocks() * values * columns; }

  struct Part {
    int64_t outer;
    int64_t block;  // counted over all matrices
    int64_t row_begin, row_end;
    int64_t column_begin, column_end;
  };

  // Runs fn(Part) for each strip of each block.
  template <class Fn>
  void ParallelParts(ThreadPool* pool, const Fn& fn) const {
    const int64_t strips = CeilDiv(columns, kColumns);
    const int64_t parts = outer * blocks() * strips;
    const int64_t elems = std::min(rows, kRows) * std::min(columns, kColumns);
    const int64_t bundle = std::max<int64_t>(1, kRows * kColumns / std::max<int64_t>(1, elems));
    pool->ParallelFor(CeilDiv(parts, bundle), [&](int64_t item, int) {
      for (int64_t i = item * bundle; i < std::min(parts, (item + 1) * bundle); ++i) {
        const int64_t block = i / strips;
        const int64_t row = block % blocks() * kRows;
        const int64_t column = i % strips * kColumns;
        fn(Part{block / blocks(), block, row, std::min(rows, row + kRows), column,
                std::min(columns, column + kColumns)});
      }
    });
  }

  // Runs fn(outer, begin, end) for pieces [begin, end) of at most kCombine columns.
  static constexpr int64_t kCombine = 64;
  template <class Fn>
  void ParallelCombine(ThreadPool* pool, const Fn& fn) const {
    const int64_t pieces = CeilDiv(columns, kCombine);
    const int64_t work = std::min(columns, kCombine) * std::max<int64_t>(1, blocks());
    const int64_t bundle = std::max<int64_t>(1, kRows * kColumns / std::max<int64_t>(1, work));
    pool->ParallelFor(CeilDiv(outer * pieces, bundle), [&](int64_t item, int) {
      for (int64_t i = item * bundle; i < std::min(outer * pieces, (item + 1) * bundle); ++i) {
        const int64_t begin = i % pieces * kCombine;
        fn(i / pieces, begin, std::min(columns, begin + kCombine));
      }
    });
  }
};

}  // namespace pocketune
