#include "graph/memory/time_fit.h"

#include "engine/base/math.h"
#include "gtest/gtest.h"
#include "tests/graph/memory/test_buffers.h"

namespace pocketune {
namespace {

// So many units of kAlignment, alive from node `first` to node `last`.
Buffer Units(int64_t units, int first, int last) {
  Buffer buffer;
  buffer.bytes = units * kAlignment;
  buffer.first = first;
  buffer.last = last;
  return buffer;
}

std::vector<int64_t> UnitOffsets(const std::vector<Buffer>& buffers) {
  std::vector<int64_t> units;
  for (int64_t offset : FitInTime(buffers).offsets) units.push_back(offset / kAlignment);
  return units;
}

TEST(FitInTimeTest, NothingTakesNothing) { EXPECT_EQ(FitInTime({}).bytes, 0); }

TEST(FitInTimeTest, IsSound) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const std::vector<Buffer> buffers = RandomBuffers(seed, 60, 25);
    ExpectSound(buffers, FitInTime(buffers));
  }
}

TEST(FitInTimeTest, TakesTheSmallestFreePlaceThatHolds) {
  // 4 and 2 end, 1 stays between and behind them; 2 fits best where 2 was.
  EXPECT_EQ(UnitOffsets({Units(4, 0, 1), Units(1, 1, 4), Units(2, 2, 3), Units(1, 3, 9),
                         Units(2, 4, 9), Units(2, 5, 9)}),
            (std::vector<int64_t>{0, 4, 0, 2, 0, 3}));
}

TEST(FitInTimeTest, JoinsWhatIsFreeSideBySide) {
  // Two neighbours of 2 end one after the other, in both orders; 4 takes the place of both.
  EXPECT_EQ(UnitOffsets({Units(2, 0, 1), Units(2, 0, 2), Units(1, 0, 9), Units(4, 3, 9)}),
            (std::vector<int64_t>{0, 2, 4, 0}));
  EXPECT_EQ(UnitOffsets({Units(2, 0, 2), Units(2, 0, 1), Units(1, 0, 9), Units(4, 3, 9)}),
            (std::vector<int64_t>{0, 2, 4, 0}));
}

TEST(FitInTimeTest, GrowsFromWhatIsFreeAtTheEnd) {
  // 2 at the end is free: 3 begins there and adds one.
  const std::vector<Buffer> buffers = {Units(3, 0, 9), Units(2, 0, 0), Units(3, 1, 9)};
  EXPECT_EQ(UnitOffsets(buffers), (std::vector<int64_t>{0, 3, 3}));
  EXPECT_EQ(FitInTime(buffers).bytes, 6 * kAlignment);
}

TEST(FitInTimeTest, TheLargestOfANodeGoesFirst) {
  EXPECT_EQ(UnitOffsets({Units(1, 0, 1), Units(3, 0, 1)}), (std::vector<int64_t>{3, 0}));
}

}  // namespace
}  // namespace pocketune
