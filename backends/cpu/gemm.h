// Single-precision matrix product C = act(A * B + bias) over operands that are matrices in either
// order or patches of an image, which are packed on the fly: a convolution, its input gradient and
// its filter gradient are one product each, and no unfolded image is ever stored.
#pragma once

#include <cstdint>

#include "engine/base/thread_pool.h"
#include "engine/ops/attrs.h"

namespace pocketune {

// Patches of an NHWC image: one per point of a grid, each of taps_h x taps_w pixels with `channels`
// values. Grid point (n, i, j) and tap (s, t) meet at pixel
// (i * stride_h + origin_h + s * step_h, j * stride_w + origin_w + t * step_w) of image n, which
// may lie outside: then it counts as zeros.
struct PatchGrid {
  int64_t height = 0, width = 0;  // of the image
  int64_t pixel = 0;              // floats from one pixel to the next
  int64_t channels = 0;           // floats read of each pixel
  int64_t rows = 0, cols = 0;     // grid points per image
  int64_t stride_h = 1, stride_w = 1;
  int64_t origin_h = 0, origin_w = 0;
  int64_t taps_h = 1, taps_w = 1;
  int64_t step_h = 1, step_w = 1;
};

// One side of a product. `i` counts rows of A or columns of B, `k` the summed dimension.
struct GemmOperand {
  enum class Kind {
    kDepthMajor,     // (i, k) at data[i * ld + k]: A as [M,K], B as [N,K]
    kAcrossMajor,    // (i, k) at data[k * ld + i]: A as [K,M], B as [K,N]
    kTaps,           // k = (s, t, o): (i, k) at data[o * ld + s * step_s + t * step_t + i]
    kPatches,        // i is a grid point, k = (tap, channel)
    kPatchesAcross,  // i = (tap, channel), k is a grid point
    kPanels,         // B alone: what PackGemmB made of it; data and batch_step only
  };
  Kind kind = Kind::kDepthMajor;
  const float* data = nullptr;
  int64_t ld = 0;
  int64_t batch_step = 0;          // floats from one product of a batch to the next
  int64_t inner = 1, taps_t = 1;   // kTaps: number of o, of t
  int64_t step_s = 0, step_t = 0;  // kTaps
  PatchGrid grid;                  // kPatches, kPatchesAcross
};

// Rows of C: row ((n * rows) + i) * cols + j starts at data + n * step_n + i * step_i + j * step_j.
// A plain matrix has rows = cols = 1 and step_n = its leading dimension. `transposed`: a plain
// matrix whose element (i, j) stands at data + j * step_n + i; for one product without bias.
struct GemmOutput {
  float* data = nullptr;
  bool transposed = false;
  int64_t rows = 1, cols = 1;
  int64_t step_n = 0, step_i = 0, step_j = 0;
  int64_t batch_step = 0;
};

// `batch` independent products of the same shape. Everything but the pointers also decides blocking
// and scratch.
struct GemmProblem {
  int64_t m = 0, n = 0, k = 0;
  int64_t batch = 1;
  GemmOperand a, b;
  GemmOutput c;
  const float* bias = nullptr;  // [n], may be null
  int64_t bias_batch_step = 0;
  Act act = Act::kNone;
};

// A plain operand: `transposed` says that it is stored with k as the outer dimension (A as [K,M]
// or B as [K,N]).
inline GemmOperand MatrixOperand(const float* data, int64_t ld, bool k_outer) {
  GemmOperand o;
  o.kind = k_outer ? GemmOperand::Kind::kAcrossMajor : GemmOperand::Kind::kDepthMajor;
  o.data = data;
  o.ld = ld;
  return o;
}

inline GemmOutput MatrixOutput(float* data, int64_t ld) {
  GemmOutput o;
  o.data = data;
  o.step_n = ld;
  return o;
}

// Is the transpose of an m x n product less work? Tiles of C are wide and low: 9 x 64 fills them
// better than 64 x 9.
bool TransposePays(int64_t m, int64_t n);

// Bytes that Gemm needs with `slots` concurrent work items, an upper bound over all instruction
// sets. Pointers in `p` are not read.
int64_t GemmScratchBytes(const GemmProblem& p, int slots);

// Floats that PackGemmB writes for one product of `p`, the same at all levels.
int64_t PackedGemmFloats(const GemmProblem& p);

// Packs B of all products of `p` at the level that runs now, for products whose B is
// PackedOperand(p, to). `to` has p.batch * PackedGemmFloats(p) floats, 64-byte aligned.
void PackGemmB(const GemmProblem& p, float* to);
GemmOperand PackedOperand(const GemmProblem& p, const float* panels);

// Computes `p`. `scratch` has GemmScratchBytes(p, pool->slots()) bytes, 64-byte aligned. C must not
// overlap A or B. The bits depend on the instruction-set level and the shape, never on the number
// of threads. Allocates nothing.
void Gemm(const GemmProblem& p, void* scratch, ThreadPool* pool);

}  // namespace pocketune
