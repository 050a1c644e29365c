// Copies between layouts. All are one loop nest that copies 4-byte elements from strides to
// strides.
#include <algorithm>
#include <cstring>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/strided.h"
#include "engine/base/math.h"
#include "engine/ops/slice_index.h"
#include "hwy/highway.h"

namespace pocketune {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Elements that one work item copies.
constexpr int64_t kItemElems = 32 * 1024;
constexpr int kTo = 0;
constexpr int kFrom = 1;

int64_t RunsPerItem(int64_t elems) {
  return std::max<int64_t>(1, kItemElems / std::max<int64_t>(1, elems));
}

// Calls fn(i) for i in [0, n), `bundle` of them per work item.
template <class Fn>
void ParallelBundles(ThreadPool* pool, int64_t n, int64_t bundle, const Fn& fn) {
  pool->ParallelFor(CeilDiv(n, bundle), [&](int64_t item, int) {
    for (int64_t i = item * bundle; i < std::min(n, (item + 1) * bundle); ++i) fn(i);
  });
}

// to[j][i] = from[i][j] of a 4 x 4 block, in 128-bit vectors, which every level has.
HWY_ATTR void TransposeBlock(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const hn::FixedTag<float, 4> d;
  const auto a = hn::LoadU(d, from);
  const auto b = hn::LoadU(d, from + from_stride);
  const auto c = hn::LoadU(d, from + 2 * from_stride);
  const auto e = hn::LoadU(d, from + 3 * from_stride);
  const auto ac = hn::InterleaveLower(d, a, c);
  const auto be = hn::InterleaveLower(d, b, e);
  const auto ac2 = hn::InterleaveUpper(d, a, c);
  const auto be2 = hn::InterleaveUpper(d, b, e);
  hn::StoreU(hn::InterleaveLower(d, ac, be), d, to);
  hn::StoreU(hn::InterleaveUpper(d, ac, be), d, to + to_stride);
  hn::StoreU(hn::InterleaveLower(d, ac2, be2), d, to + 2 * to_stride);
  hn::StoreU(hn::InterleaveUpper(d, ac2, be2), d, to + 3 * to_stride);
}

// to[j * to_stride + i] = from[i * from_stride + j] for i < rows, j < columns.
HWY_ATTR void TransposeStrip(const float* from, int64_t from_stride, float* to, int64_t to_stride,
                             int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i += 4) {
    for (int64_t j = 0; j < columns; j += 4) {
      const float* block = from + i * from_stride + j;
      float* result = to + j * to_stride + i;
      if (i + 4 <= rows && j + 4 <= columns) {
        TransposeBlock(block, from_stride, result, to_stride);
        continue;
      }
      for (int64_t r = 0; r < std::min<int64_t>(4, rows - i); ++r) {
        for (int64_t c = 0; c < std::min<int64_t>(4, columns - j); ++c) {
          result[c * to_stride + r] = block[r * from_stride + c];
        }
      }
    }
  }
}

// Runs of `n` elements, `step` apart: dense copies, repeats of one value, or scattered elements.
void CopyRun(int64_t n, const int64_t (&step)[2], const float* from, float* to) {
  if (step[kTo] == 1 && step[kFrom] == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
  } else if (step[kTo] == 1 && step[kFrom] == 0) {
    std::fill_n(to, n, *from);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * step[kTo]] = from[i * step[kFrom]];
  }
}

// Long runs are cut, short ones bundled.
void CopyRuns(ThreadPool* pool, const LoopNest<2>& outer, int64_t inner, const int64_t (&step)[2],
              const float* from, float* to) {
  const int64_t pieces = CeilDiv(inner, kItemElems);
  ParallelBundles(pool, outer.Steps() * pieces, RunsPerItem(inner), [&](int64_t i) {
    const int64_t at = i % pieces * kItemElems;
    CopyRun(std::min(kItemElems, inner - at), step,
            from + outer.Offset(i / pieces, kFrom) + at * step[kFrom],
            to + outer.Offset(i / pieces, kTo) + at * step[kTo]);
  });
}

// The loop of the nest along which `from` is dense, or -1.
int DenseLoop(const LoopNest<2>& nest) {
  for (int d = 0; d < nest.rank; ++d) {
    if (nest.strides[d][kFrom] == 1) return d;
  }
  return -1;
}

// Copies a nest of loops {to, from}.
void Copy(ThreadPool* pool, LoopNest<2> outer, const float* from, float* to) {
  constexpr int64_t kStrip = 16;  // columns of a transposed strip: one cache line
  int64_t step[2];
  const int64_t inner = outer.Pop(step);
  const int dense = DenseLoop(outer);
  if (step[kTo] != 1 || step[kFrom] <= 1 || dense < 0) {
    return CopyRuns(pool, outer, inner, step, from, to);
  }
  int64_t column_step[2];
  const int64_t columns = outer.Take(dense, column_step);
  const int64_t strips = CeilDiv(columns, kStrip);
  ParallelBundles(pool, outer.Steps() * strips, RunsPerItem(inner * kStrip), [&](int64_t i) {
    const int64_t begin = i % strips * kStrip;
    TransposeStrip(from + outer.Offset(i / strips, kFrom) + begin, step[kFrom],
                   to + outer.Offset(i / strips, kTo) + begin * column_step[kTo], column_step[kTo],
                   inner, std::min(kStrip, columns - begin));
  });
}

// Copies a box of `size` elements between two dense tensors, of which it is a part of one.
void CopyBox(ThreadPool* pool, const Shape& size, const Strides& from_strides, const float* from,
             const Strides& to_strides, float* to) {
  LoopNest<2> nest;
  for (int i = 0; i < size.rank(); ++i) nest.Push(size[i], {to_strides[i], from_strides[i]});
  Copy(pool, nest, from, to);
}

void Fill(const KernelArgs& args, double value) {
  const TensorView& result = args.results[0];
  const int64_t elems = result.shape.elems();
  ParallelBundles(args.pool, CeilDiv(elems, kItemElems), 1, [&](int64_t i) {
    const int64_t n = std::min(kItemElems, elems - i * kItemElems);
    if (result.dtype == DType::kI32) {
      std::fill_n(result.as<int32_t>() + i * kItemElems, n, static_cast<int32_t>(value));
    } else {
      std::fill_n(result.as<float>() + i * kItemElems, n, static_cast<float>(value));
    }
  });
}

Strides DenseStrides(const TensorView& view) { return Strides(view.shape, view.shape.rank()); }

// Numbers of an index that are looked up at once.
constexpr int64_t kIndexBlock = 256;

// Row `o` of the picked slices, `inner` elements each. Offsets are worked out once for all rows of
// an item, block by block.
void GatherRows(const SliceGeometry& g, const float* index, const float* from, float* to,
                int64_t begin, int64_t end) {
  int64_t offsets[kIndexBlock];
  for (int64_t first = 0; first < g.picked; first += kIndexBlock) {
    const int64_t count = std::min(kIndexBlock, g.picked - first);
    for (int64_t k = 0; k < count; ++k) {
      offsets[k] = SliceAt(double{index[first + k]}, g.slices) * g.inner;
    }
    for (int64_t o = begin; o < end; ++o) {
      const float* row = from + o * g.slices * g.inner;
      float* result = to + (o * g.picked + first) * g.inner;
      if (g.inner == 1) {
        for (int64_t k = 0; k < count; ++k) result[k] = row[offsets[k]];
        continue;
      }
      for (int64_t k = 0; k < count; ++k) {
        std::memcpy(result + k * g.inner, row + offsets[k],
                    static_cast<size_t>(g.inner) * sizeof(float));
      }
    }
  }
}

}  // namespace

void RunReshape(const KernelArgs& args) {
  const TensorView& from = args.operands[0];
  const TensorView& to = args.results[0];
  if (from.data == to.data) return;
  LoopNest<2> nest;
  nest.Push(to.shape.elems(), {1, 1});
  Copy(args.pool, nest, from.as<float>(), to.as<float>());
}

void RunBroadcastTo(const KernelArgs& args) {
  const TensorView& from = args.operands[0];
  const TensorView& to = args.results[0];
  CopyBox(args.pool, to.shape, Strides(from.shape, to.shape.rank()), from.as<float>(),
          DenseStrides(to), to.as<float>());
}

void RunFill(const KernelArgs& args) { Fill(args, args.Attr<ShapeAttrs>().value); }

void RunTranspose(const KernelArgs& args) {
  const auto& attrs = args.Attr<TransposeAttrs>();
  const TensorView& from = args.operands[0];
  const TensorView& to = args.results[0];
  const Strides from_strides = DenseStrides(from);
  const Strides to_strides = DenseStrides(to);
  LoopNest<2> nest;
  for (int i = 0; i < to.shape.rank(); ++i) {
    nest.Push(to.shape[i], {to_strides[i], from_strides[attrs.perm[i]]});
  }
  Copy(args.pool, nest, from.as<float>(), to.as<float>());
}

void RunConcat(const KernelArgs& args) {
  const int axis = args.Attr<AxisAttrs>().axis;
  const Strides to_strides = DenseStrides(args.results[0]);
  float* to = args.results[0].as<float>();
  for (const TensorView& from : args.operands) {
    CopyBox(args.pool, from.shape, DenseStrides(from), from.as<float>(), to_strides, to);
    to += from.shape[axis] * to_strides[axis];
  }
}

void RunPad(const KernelArgs& args) {
  const auto& attrs = args.Attr<PadAttrs>();
  const TensorView& from = args.operands[0];
  const Strides to_strides = DenseStrides(args.results[0]);
  float* to = args.results[0].as<float>();
  for (int i = 0; i < from.shape.rank(); ++i) to += attrs.before[i] * to_strides[i];
  Fill(args, attrs.value);
  CopyBox(args.pool, from.shape, DenseStrides(from), from.as<float>(), to_strides, to);
}

void RunGather(const KernelArgs& args) {
  const TensorView& from = args.operands[0];
  const TensorView& index = args.operands[1];
  const SliceGeometry g = SlicesAlong(args.Attr<AxisAttrs>().axis, from.shape, index.shape.elems());
  const int64_t rows = RunsPerItem(g.picked * g.inner);
  args.pool->ParallelFor(CeilDiv(g.outer, rows), [&](int64_t item, int) {
    GatherRows(g, index.as<float>(), from.as<float>(), args.results[0].as<float>(), item * rows,
               std::min(g.outer, (item + 1) * rows));
  });
}

void RunSlice(const KernelArgs& args) {
  const auto& attrs = args.Attr<SliceAttrs>();
  const TensorView& to = args.results[0];
  const Strides from_strides = DenseStrides(args.operands[0]);
  const float* from = args.operands[0].as<float>();
  for (int i = 0; i < to.shape.rank(); ++i) from += attrs.begin[i] * from_strides[i];
  CopyBox(args.pool, to.shape, from_strides, from, DenseStrides(to), to.as<float>());
}

}  // namespace pocketune
