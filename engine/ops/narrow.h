// How `narrow` packs floats into bytes, for `widen` to unpack: one definition for shape rules,
// kernels and the compiler.
//
// 16 bits: each float as a bfloat16, rounded to nearest, ties to even; NaN stays NaN.
// 8 bits: rows of the last dimension (channels) stand in groups of NarrowRows. A float scale for
// each group and channel, [groups, channels], comes first: its largest magnitude / 127; then a
// signed byte for each element: the nearest multiple of the scale, ties to even. Magnitudes below a
// scale of kLeastScale become 0. Where one is not finite, its group's channel comes back as NaN.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/math.h"
#include "pocketune/types.h"

namespace pocketune {

inline constexpr float kNarrowMax = 127.0f;      // of a signed byte
inline constexpr float kLeastScale = 0x1p-100f;  // its inverse is finite

constexpr int64_t NarrowChannels(const Shape& shape) { return shape.rank() == 0 ? 1 : shape[-1]; }

// Rows that share their scales: few enough for a cache, so many that scales weigh little.
constexpr int64_t NarrowRows(int64_t channels) {
  return std::max<int64_t>(64, 32 * 1024 / channels);
}

constexpr int64_t NarrowGroups(const Shape& shape) {
  const int64_t channels = NarrowChannels(shape);
  return CeilDiv(shape.elems() / channels, NarrowRows(channels));
}

// Bytes that a tensor of that shape takes when packed; `bits` is 16 or 8.
constexpr int64_t NarrowBytes(const Shape& shape, int bits) {
  if (bits == 16) return 2 * shape.elems();
  return NarrowGroups(shape) * NarrowChannels(shape) * int64_t{sizeof(float)} + shape.elems();
}

}  // namespace pocketune
