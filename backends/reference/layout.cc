// Ops that move elements.
#include <algorithm>
#include <cstring>

#include "backends/reference/reference_ops.h"
#include "engine/ops/slice_index.h"

namespace pocketune::reference {
namespace {

// Index at the same dimensions of the first six values of an attribute.
Index ToIndex(const int32_t (&values)[Shape::kMaxRank]) {
  Index index;
  std::copy_n(values, index.size(), index.begin());
  return index;
}

}  // namespace

PT_REFERENCE(Reshape) {
  std::memmove(Out<T>(args, 0), In<T>(args, 0), size_t(args.results[0].bytes()));
}

PT_REFERENCE(BroadcastTo) {
  const Shape& shape = args.results[0].shape;
  const Index strides = BroadcastStrides(args.operands[0].shape, shape);
  for (int64_t i = 0; i < shape.elems(); ++i) {
    Out<T>(args, 0)[i] = In<T>(args, 0)[Dot(Coordinates(shape, i), strides)];
  }
}

PT_REFERENCE(Fill) {
  const T value = static_cast<T>(args.Attr<ShapeAttrs>().value);
  std::fill_n(Out<T>(args, 0), args.results[0].shape.elems(), value);
}

PT_REFERENCE(Transpose) {
  const Shape& shape = args.results[0].shape;
  const Index own = Strides(args.operands[0].shape);
  Index strides{};
  for (int d = 0; d < shape.rank(); ++d) strides[d] = own[args.Attr<TransposeAttrs>().perm[d]];
  for (int64_t i = 0; i < shape.elems(); ++i) {
    Out<T>(args, 0)[i] = In<T>(args, 0)[Dot(Coordinates(shape, i), strides)];
  }
}

PT_REFERENCE(Concat) {
  const int axis = args.Attr<AxisAttrs>().axis;
  const Index strides = Strides(args.results[0].shape);
  int64_t begin = 0;
  for (size_t k = 0; k < args.operands.size(); ++k) {
    const Shape& shape = args.operands[k].shape;
    for (int64_t i = 0; i < shape.elems(); ++i) {
      const int64_t j = Dot(Coordinates(shape, i), strides) + begin * strides[axis];
      Out<T>(args, 0)[j] = In<T>(args, k)[i];
    }
    begin += shape[axis];
  }
}

PT_REFERENCE(Pad) {
  const PadAttrs& a = args.Attr<PadAttrs>();
  const Shape& shape = args.operands[0].shape;
  const Index strides = Strides(args.results[0].shape);
  const int64_t begin = Dot(ToIndex(a.before), strides);
  std::fill_n(Out<T>(args, 0), args.results[0].shape.elems(), static_cast<T>(a.value));
  for (int64_t i = 0; i < shape.elems(); ++i) {
    Out<T>(args, 0)[begin + Dot(Coordinates(shape, i), strides)] = In<T>(args, 0)[i];
  }
}

PT_REFERENCE(Gather) {
  const int axis = args.Attr<AxisAttrs>().axis;
  const Shape& whole = args.operands[0].shape;
  const Shape& shape = args.results[0].shape;
  const Index strides = Strides(whole);
  for (int64_t i = 0; i < shape.elems(); ++i) {
    Index at = Coordinates(shape, i);
    at[axis] = SliceAt(In<T>(args, 1)[at[axis]], whole[axis]);
    Out<T>(args, 0)[i] = In<T>(args, 0)[Dot(at, strides)];
  }
}

PT_REFERENCE(Slice) {
  const Shape& shape = args.results[0].shape;
  const Index strides = Strides(args.operands[0].shape);
  const int64_t begin = Dot(ToIndex(args.Attr<SliceAttrs>().begin), strides);
  for (int64_t i = 0; i < shape.elems(); ++i) {
    Out<T>(args, 0)[i] = In<T>(args, 0)[begin + Dot(Coordinates(shape, i), strides)];
  }
}

}  // namespace pocketune::reference
