#include "graph/memory/range_max.h"

#include "engine/base/rng.h"
#include "gtest/gtest.h"

namespace pocketune {
namespace {

TEST(RangeMaxTest, AgreesWithAnArray) {
  for (const int nodes : {1, 2, 7, 64, 97}) {
    RangeMax tree(nodes);
    std::vector<int64_t> heights(static_cast<size_t>(nodes), 0);
    const RandomStream random(3, "ranges");
    for (uint64_t i = 0; i < 500; ++i) {
      const int a = static_cast<int>(random.Below(3 * i, static_cast<uint32_t>(nodes)));
      const int b = static_cast<int>(random.Below(3 * i + 1, static_cast<uint32_t>(nodes)));
      const auto begin = heights.begin() + std::min(a, b), end = heights.begin() + std::max(a, b);
      ASSERT_EQ(tree.Max(std::min(a, b), std::max(a, b)), *std::max_element(begin, end + 1));
      const int64_t height = random.Below(3 * i + 2, 1000);
      tree.Raise(std::min(a, b), std::max(a, b), height);
      for (auto it = begin; it <= end; ++it) *it = std::max(*it, height);
    }
  }
}

}  // namespace
}  // namespace pocketune
