// Slices of a tensor along one dimension, selected by a vector of their numbers: what gather reads
// and updates of a part of a parameter write.
#pragma once

#include <cstdint>

#include "pocketune/types.h"

namespace pocketune {

// An index is a vector of floats, which hold every whole number up to here.
inline constexpr int64_t kMaxIndexed = int64_t{1} << 24;

// The slice that a number of an index means: plans are untrusted, so all that is out of range and
// NaN means slice 0.
inline int64_t SliceAt(double number, int64_t slices) {
  return number >= 0 && number < static_cast<double>(slices) ? static_cast<int64_t>(number) : 0;
}

// The one dimension in which `part` is shorter than `whole`; -1 where there is none or several.
inline int IndexedAxis(const Shape& whole, const Shape& part) {
  if (whole.rank() != part.rank()) return -1;
  int axis = -1;
  for (int i = 0; i < whole.rank(); ++i) {
    if (whole[i] == part[i]) continue;
    if (axis >= 0 || whole[i] < part[i]) return -1;
    axis = i;
  }
  return axis;
}

// Element (o, k, i) of the selected slices stands at (o * picked + k) * inner + i there and at
// (o * slices + number k) * inner + i in the whole tensor.
struct SliceGeometry {
  int64_t outer = 1, slices = 1, picked = 1, inner = 1;
};

inline SliceGeometry SlicesAlong(int axis, const Shape& whole, int64_t picked) {
  SliceGeometry g;
  for (int i = 0; i < axis; ++i) g.outer *= whole[i];
  for (int i = axis + 1; i < whole.rank(); ++i) g.inner *= whole[i];
  g.slices = whole[axis];
  g.picked = picked;
  return g;
}

}  // namespace pocketune
