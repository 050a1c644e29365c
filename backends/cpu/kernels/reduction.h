// The loops of a reduction.
#pragma once

#include <cstdint>

#include "backends/cpu/kernels/columns.h"
#include "backends/cpu/kernels/strided.h"

namespace pocketune {

// Kept and reduced dimensions of a dense tensor as two loop nests around its innermost dimension,
// which is either kept (a column fold) or reduced (a row fold) and has stride 1.
struct Reduction {
  static constexpr int64_t kSegment = 32 * 1024;  // of a reduced row, for one work item

  LoopNest<1> kept;
  LoopNest<1> reduced;
  int64_t inner = 1;
  bool inner_kept = true;

  Reduction(const Shape& shape, uint32_t axes) {
    const Strides strides(shape, shape.rank());
    for (int i = 0; i < shape.rank(); ++i) {
      LoopNest<1>& nest = (axes >> i & 1) != 0 ? reduced : kept;
      nest.Push(shape[i], {strides[i]});
    }
    inner_kept = reduced.rank == 0 || reduced.strides[reduced.rank - 1][0] != 1;
    int64_t step[1];
    inner = (inner_kept ? kept : reduced).Pop(step);
  }

  ColumnBlocks columns() const { return {kept.Steps(), reduced.Steps(), inner}; }
  int64_t segments() const { return CeilDiv(inner, kSegment); }
};

}  // namespace pocketune
