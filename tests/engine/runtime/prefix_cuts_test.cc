#include "engine/runtime/prefix_cuts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <random>

namespace pocketune {
namespace {

struct Cut {
  int depth = 0;
  int64_t row_bytes = 0;
  std::vector<PrefixPart> parts;
};

Cut Shortest(PrefixCuts cuts, int first, int last) {
  Cut cut;
  cut.depth = cuts.Shortest(first, last, &cut.parts, &cut.row_bytes);
  return cut;
}

// By the definition: each cut is laid out row by row.
Cut ShortestOneByOne(const std::vector<PrefixValue>& values, int64_t batch, int first, int last) {
  Cut best;
  for (int depth = last; depth >= first; --depth) {
    Cut cut{depth, 0, {}};
    std::vector<int64_t> ends(static_cast<size_t>(batch));
    bool good = true;
    for (const PrefixValue& v : values) {
      if (v.from > depth || v.until <= depth) continue;
      const auto begin = ends.begin() + v.first_row;
      const int64_t offset = *begin;
      good = good && v.placed && std::count(begin, begin + v.rows, offset) == v.rows;
      std::for_each(begin, begin + v.rows, [&](int64_t& end) { end += v.bytes; });
      cut.parts.push_back({v.step, v.tensor, v.first_row, v.rows, offset, v.bytes});
    }
    cut.row_bytes = ends[0];
    good = good && ends[0] > 0 && std::count(ends.begin(), ends.end(), ends[0]) == batch;
    if (good && (best.depth == 0 || cut.row_bytes < best.row_bytes)) best = cut;
  }
  return best;
}

TEST(PrefixCutsTest, ChooseAsAComparisonOfAllCutsOneByOneDoes) {
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  int found = 0, sliced = 0;
  for (int round = 0; round < 20000; ++round) {
    const int64_t batch = 1 + below(5);
    const int deepest = 1 + below(7);
    std::vector<PrefixValue> values;
    for (uint32_t step = 0; step < static_cast<uint32_t>(1 + below(12)); ++step) {
      PrefixValue v;
      v.step = step;
      v.tensor = static_cast<int32_t>(step) + 3;
      const bool slice = below(3) == 0;
      v.first_row = slice ? below(static_cast<int>(batch)) : 0;
      v.rows = slice ? 1 + below(static_cast<int>(batch - v.first_row)) : batch;
      v.bytes = 4 * (1 + below(3));
      v.from = 1 + below(deepest);
      v.until = below(4) == 0 ? INT_MAX : v.from + below(3);
      v.placed = below(15) != 0;
      values.push_back(v);
    }
    const int first = 1 + below(2);
    const Cut want = ShortestOneByOne(values, batch, first, deepest);
    const Cut got = Shortest(PrefixCuts(values, batch, deepest), first, deepest);
    ASSERT_EQ(got.depth, want.depth) << round;
    ASSERT_EQ(got.row_bytes, want.row_bytes) << round;
    if (want.depth == 0) continue;
    ++found;
    ASSERT_EQ(got.parts.size(), want.parts.size()) << round;
    for (size_t i = 0; i < want.parts.size(); ++i) {
      EXPECT_EQ(got.parts[i].step, want.parts[i].step);
      EXPECT_EQ(got.parts[i].tensor, want.parts[i].tensor);
      EXPECT_EQ(got.parts[i].first_row, want.parts[i].first_row);
      EXPECT_EQ(got.parts[i].rows, want.parts[i].rows);
      EXPECT_EQ(got.parts[i].offset, want.parts[i].offset);
      EXPECT_EQ(got.parts[i].bytes, want.parts[i].bytes);
      sliced += want.parts[i].rows < batch ? 1 : 0;
    }
  }
  EXPECT_GT(found, 2000);
  EXPECT_GT(sliced, 50);
}

// A chain, each value read by the next step alone: the cut in front of the last step.
TEST(PrefixCutsTest, LookAtEachValueOfALongChainAFewTimesAlone) {
  constexpr int kSteps = 100'000;
  std::vector<PrefixValue> values;
  for (int s = 0; s < kSteps; ++s) {
    values.push_back({.step = static_cast<uint32_t>(s),
                      .tensor = s,
                      .rows = 8,
                      .bytes = 400 - s % 100,
                      .from = s + 1,
                      .until = s + 1 < kSteps ? s + 2 : INT_MAX});
  }
  PrefixCuts cuts(values, 8, kSteps);
  std::vector<PrefixPart> parts;
  int64_t row_bytes = 0;
  EXPECT_EQ(cuts.Shortest(1, kSteps, &parts, &row_bytes), kSteps);
  EXPECT_EQ(row_bytes, 301);
  EXPECT_LE(cuts.work(), 4 * kSteps);
}

// Each cut has the right sum of bytes and rows of one length, yet its values cannot be laid out in
// their order: the second half's come in behind one that all rows share.
TEST(PrefixCutsTest, GiveUpOnPlansMadeToHaveNoCutBeforeTheWorkGrowsWithItsSquare) {
  constexpr int kSteps = 30'000;
  std::vector<PrefixValue> values;
  const auto add = [&](int64_t first_row, int64_t rows, int from, int until) {
    values.push_back({.step = static_cast<uint32_t>(values.size()),
                      .first_row = first_row,
                      .rows = rows,
                      .bytes = 4,
                      .from = from,
                      .until = until});
  };
  add(0, 1, 1, INT_MAX);
  for (int s = 1; s < kSteps; ++s) add(0, 2, s, s + 1);
  add(1, 1, 1, INT_MAX);
  PrefixCuts cuts(values, 2, kSteps);
  std::vector<PrefixPart> parts;
  int64_t row_bytes = -1;
  EXPECT_EQ(cuts.Shortest(1, kSteps - 1, &parts, &row_bytes), 0);
  EXPECT_EQ(row_bytes, 0);
  EXPECT_TRUE(parts.empty());
  EXPECT_LE(cuts.work(), 80 * kSteps);
}

}  // namespace
}  // namespace pocketune
