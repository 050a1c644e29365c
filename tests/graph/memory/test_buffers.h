// Buffers to place, and what any layout of them must keep.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/base/math.h"
#include "engine/base/rng.h"
#include "graph/memory/arena_planner.h"
#include "gtest/gtest.h"

namespace pocketune {

inline std::vector<Buffer> RandomBuffers(uint64_t seed, int count, int nodes) {
  const RandomStream random(seed, "buffers");
  std::vector<Buffer> buffers;
  for (int i = 0; i < count; ++i) {
    Buffer buffer;
    buffer.bytes = kAlignment * (1 + random.Below(3 * i, 31));
    buffer.first = static_cast<int>(random.Below(3 * i + 1, nodes));
    buffer.last = std::min<int>(nodes - 1, buffer.first + random.Below(3 * i + 2, nodes / 2));
    buffers.push_back(buffer);
  }
  return buffers;
}

inline int64_t LowerBoundOf(const std::vector<Buffer>& buffers) {
  int64_t bound = 0;
  for (const Buffer& at : buffers) {
    int64_t live = 0;
    for (const Buffer& other : buffers) {
      if (other.first <= at.first && at.first <= other.last) live += other.bytes;
    }
    bound = std::max(bound, live);
  }
  return bound;
}

inline void ExpectSound(const std::vector<Buffer>& buffers, const ArenaLayout& layout) {
  ASSERT_EQ(layout.offsets.size(), buffers.size());
  int64_t top = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    ASSERT_GE(layout.offsets[i], 0);
    ASSERT_EQ(layout.offsets[i] % kAlignment, 0);
    top = std::max(top, layout.offsets[i] + buffers[i].bytes);
    for (size_t j = 0; j < i; ++j) {
      const bool apart = layout.offsets[i] + buffers[i].bytes <= layout.offsets[j] ||
                         layout.offsets[j] + buffers[j].bytes <= layout.offsets[i];
      ASSERT_TRUE(apart || !buffers[i].Overlaps(buffers[j])) << i << " and " << j;
    }
  }
  EXPECT_EQ(layout.bytes, top);
  EXPECT_GE(layout.bytes, LowerBoundOf(buffers));
}

}  // namespace pocketune
