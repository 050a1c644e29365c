// Convolutions of 3x3 taps, stride 1, through Winograd's F(4x4, 3x3): 36 multiplications for 16
// outputs of a channel pair where the direct product takes 144. Tiles of 4x4 outputs, and the 6x6
// inputs that they read, are transformed to 36 values per channel; each of the 36 is a matrix
// product over channels. Points 0, +-sqrt(1/2), +-sqrt(2), infinity: rounding errors are as small
// as those of the direct product.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/api/kernel.h"
#include "backends/cpu/gemm.h"
#include "backends/cpu/packed_weights.h"
#include "engine/base/math.h"
#include "engine/ops/attrs.h"

namespace pocketune {

inline constexpr int64_t kWinogradOut = 4;   // a side of a tile of outputs
inline constexpr int64_t kWinogradIn = 6;    // of the inputs that it reads
inline constexpr int64_t kWinogradAll = 36;  // values of a tile after transformation

// y[batch, out_h, out_w, out] = act(convolution of x[batch, in_h, in_w, in] + bias).
struct WinogradConv {
  int64_t batch, in_h, in_w, in, out_h, out_w, out;
  int64_t pad_top, pad_left;  // may be negative
  GemmOperand weights;        // (out, (tap, in)), tap by tap as x is read
  const float* x = nullptr;
  const float* bias = nullptr;  // [out], may be null
  float* y = nullptr;
  Act act = Act::kNone;

  int64_t tiles_h() const { return CeilDiv(out_h, kWinogradOut); }
  int64_t tiles_w() const { return CeilDiv(out_w, kWinogradOut); }
  int64_t tiles() const { return batch * tiles_h() * tiles_w(); }
};

// How the work is cut: by shape alone. Scratch, in floats, holds the shared parts in this order,
// then those of each slot.
struct WinogradBlocking {
  int64_t group = 0;  // tiles whose transformed inputs are held at a time
  int64_t part = 0;   // tiles of a work item
  bool shared_weights = false;
  // Floats of one of the 36 planes of transformed inputs and of weights, those of a panel of
  // outputs or of all: an odd number of cache lines, so that planes do not fall into the same cache
  // sets.
  int64_t input_plane = 0, weight_plane = 0;
  int64_t zero_floats = 0, input_floats = 0, weight_floats = 0;   // shared
  int64_t panel_floats = 0, product_floats = 0, taps_floats = 0;  // of a slot

  int64_t shared_floats() const { return zero_floats + input_floats + weight_floats; }
  int64_t slot_floats() const { return panel_floats + product_floats + taps_floats; }
};

// Widest panel of outputs, over all levels, and rows of weights transformed at a time.
inline constexpr int64_t kWinogradPanel = 32;
inline constexpr int64_t kWinogradRows = 32;
inline constexpr int64_t kWinogradMaxPart = 32;

WinogradBlocking BlockingOf(const WinogradConv& c);

// At least so many floats, an odd number of cache lines.
inline int64_t OddLines(int64_t floats) { return AlignUp(floats, 32) + 16; }

// The convolution's sizes and how its filter gradient is cut, by shape alone.
struct FilterGrad {
  static constexpr int64_t kSumFloats = 600 << 10;
  // Of a group at most, unless few tiles have more.
  static constexpr int64_t kTileFloats = 256 << 10;
  static constexpr int64_t kLeastGroup = 32;

  WinogradConv c;
  const float* dy = nullptr;
  float* dw = nullptr;  // [out, 3, 3, in]
  int64_t columns;      // inputs whose sums are held at a time
  int64_t group;        // tiles that are held transformed
  // Floats of scratch: a pixel of zeros, then 36 planes each of gradients [tile, out], of inputs
  // [tile, columns], which are read a panel too far, and of sums [out, columns].
  int64_t zeros, dy_plane, x_plane, sum_plane;

  explicit FilterGrad(const WinogradConv& conv) : c(conv) {
    const int64_t most = kSumFloats / (kWinogradAll * c.out) / kWinogradPanel * kWinogradPanel;
    columns = std::min(std::max(most, kWinogradPanel), c.in);
    group = std::max(kLeastGroup, kTileFloats / (kWinogradAll * (columns + c.out)));
    group = std::min(group, c.tiles());
    zeros = AlignUp(std::max(c.in, c.out), 16);
    dy_plane = OddLines(group * c.out);
    x_plane = OddLines(group * columns + kWinogradPanel);
    sum_plane = OddLines(c.out * columns);
  }
  int64_t ScratchBytes() const {
    return int64_t{sizeof(float)} * (zeros + kWinogradAll * (dy_plane + x_plane + sum_plane));
  }
};

// Plain operands, weights `w` of 3x3 taps, stride 1, no dilation, one group. A is ConvAttrs or
// ConvGradAttrs.
template <typename A>
bool HasWinogradTaps(const KernelQuery& query, const Shape& w, const A& a) {
  return std::all_of(query.operands.begin(), query.operands.end(), IsPlain) && w[1] == 3 &&
         w[2] == 3 && a.groups == 1 && a.stride[0] == 1 && a.stride[1] == 1 && a.dilation[0] == 1 &&
         a.dilation[1] == 1;
}

// Where both sides have many channels, the weights serve many tiles, and most of a tile's outputs
// exist. Scratch, that of one slot, must not be what makes a small model's plan larger.
bool WinogradPays(const WinogradConv& c, int64_t scratch_bytes);

}  // namespace pocketune
