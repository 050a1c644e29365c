#include "backends/cpu/gemm_blocking.h"

#include <gtest/gtest.h>

namespace pocketune {
namespace {

GemmProblem Plain(int64_t m, int64_t n, int64_t k) {
  GemmProblem p;
  p.m = m;
  p.n = n;
  p.k = k;
  p.a = MatrixOperand(nullptr, m, true);
  p.b = MatrixOperand(nullptr, n, true);
  p.c = MatrixOutput(nullptr, n);
  return p;
}

TEST(GemmBlockingTest, TransposesWhatFillsTilesBetterTheOtherWayRound) {
  EXPECT_TRUE(TransposePays(48, 9));
  EXPECT_TRUE(TransposePays(64, 9));
  EXPECT_FALSE(TransposePays(8, 48));
  EXPECT_FALSE(TransposePays(64, 64));
  EXPECT_FALSE(TransposePays(1 << 20, 1)) << "partial sums would not fit";
}

TEST(GemmBlockingTest, TilesAndPartsCoverTheProduct) {
  for (int64_t m : {1, 17, 41, 169, 1003}) {
    for (int64_t n : {1, 33, 129, 2005}) {
      for (int64_t k : {1, 255, 1025, 100003}) {
        const GemmBlocking g = BlockingOf(Plain(m, n, k));
        EXPECT_LE(g.m_tile, kGemmMaxRows);
        EXPECT_GE(g.m_tile * g.m_tiles, m);
        EXPECT_LT(g.m_tile * (g.m_tiles - 1), m);
        EXPECT_GE(g.n_tile * g.n_tiles, n);
        EXPECT_LT(g.n_tile * (g.n_tiles - 1), n);
        EXPECT_GE(g.k_part * g.parts, k);
        EXPECT_LT(g.k_part * (g.parts - 1), k);
        EXPECT_EQ(g.k_part % kGemmKc, 0);
        EXPECT_EQ(g.partial_floats > 0, g.parts > 1);
      }
    }
  }
}

TEST(GemmBlockingTest, KeepsATransposedResultInScratch) {
  GemmProblem p = Plain(9, 64, 100);
  p.c.transposed = true;
  const GemmBlocking g = BlockingOf(p);
  EXPECT_TRUE(g.staged);
  EXPECT_GE(g.partial_floats, 9 * 64);
}

TEST(GemmBlockingTest, ReadsPatchesOfFewChannelsFromStrips) {
  GemmProblem p = Plain(4000, 64, 40);
  p.a.kind = GemmOperand::Kind::kPatches;
  PatchGrid& grid = p.a.grid;
  grid.height = 49;
  grid.width = 10;
  grid.rows = 25;
  grid.cols = 5;
  grid.stride_h = grid.stride_w = 2;
  grid.taps_h = 10;
  grid.taps_w = 4;
  grid.pixel = grid.channels = 1;
  EXPECT_EQ(StripOf(grid).pitch, 12);
  EXPECT_EQ(StripOf(grid).span, 10);
  EXPECT_GT(BlockingOf(p).strip_floats, 0);
  grid.pixel = 2;  // one of two groups
  EXPECT_EQ(BlockingOf(p).strip_floats, 0);
  grid.pixel = grid.channels = 16;
  EXPECT_EQ(BlockingOf(p).strip_floats, 0);
}

// A dot product reads a B stored [N,K] in place.
TEST(GemmBlockingTest, TakesDotProductsForFewRows) {
  GemmProblem p = Plain(8, 1000, 512);
  EXPECT_FALSE(BlockingOf(p).dot);
  p.a = MatrixOperand(nullptr, 512, false);
  p.b = MatrixOperand(nullptr, 512, false);
  EXPECT_TRUE(BlockingOf(p).dot);
  EXPECT_EQ(GemmScratchBytes(p, 2), 0);
}

}  // namespace
}  // namespace pocketune
