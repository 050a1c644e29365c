// How a product is cut into work items: a function of its shape alone, so that neither threads nor
// instruction sets change what scratch holds.
#pragma once

#include "backends/cpu/gemm.h"

namespace pocketune {

// Depth of a block: a panel of B of this depth stays in the first-level cache.
inline constexpr int64_t kGemmKc = 256;
// Products with at most so many rows read a B stored [N,K] in place, by dot products.
inline constexpr int64_t kGemmDotRows = 16;
// Columns of one work item of that path.
inline constexpr int64_t kGemmDotColumns = 32;
// Largest number of rows in a packed panel of A, over all levels.
inline constexpr int64_t kGemmMaxPanelRows = 16;
// Rows of a work item at most.
inline constexpr int64_t kGemmMaxRows = 168;

struct GemmBlocking {
  bool dot = false;       // small M: no packing at all
  bool shared_b = false;  // whole B is packed before the work items run, or was long before
  bool direct_a = false;  // A, B are read where they stand if their order allows
  bool direct_b = false;
  int64_t m_tile = 0, m_tiles = 0;
  int64_t n_tile = 0, n_tiles = 0;
  int64_t k_part = 0, parts = 1;
  bool staged = false;  // partial sums in scratch, added in order; always where parts > 1
  // Scratch in floats, each a multiple of 16: shared B, partial sums, then per slot: panels of A,
  // a panel of B, gathered rows.
  int64_t shared_floats = 0, partial_floats = 0;
  int64_t a_floats = 0, b_floats = 0, gather_floats = 0;
  // kPatchesAcross: whole patches are gathered, so many floats from one to the next; 0: only what a
  // panel needs.
  int64_t patch_step = 0;

  // Patches come from strips of the image (StripOf), so many floats at most; 0: they do not.
  int64_t strip_floats = 0;

  int64_t slot_floats() const { return a_floats + b_floats + gather_floats + strip_floats; }
};

// A strip: the image rows that neighbouring grid points of some rows of one image read, one after
// the other, as wide as these points reach. Strips of further images follow.
struct StripShape {
  int64_t pitch;  // floats from one row to the next
  int64_t span;   // rows of a patch, at least the stride
};
StripShape StripOf(const PatchGrid& g);

// Columns of n that are packed in whole panels, at most, over all levels.
int64_t WidestB(int64_t n);

GemmBlocking BlockingOf(const GemmProblem& p);

}  // namespace pocketune
