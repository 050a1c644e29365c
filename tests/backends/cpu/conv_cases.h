// Convolutions of many kinds, for the tests of all three directions.
#pragma once

#include <ostream>
#include <vector>

#include "engine/ops/attrs.h"
#include "tests/support/tensor_data.h"

namespace pocketune::test {

struct ConvCase {
  const char* name;
  int64_t batch, height, width, in, out;  // in, out: channels
  int64_t kernel_h, kernel_w;
  ConvAttrs attrs;

  Shape InputShape() const { return {batch, height, width, in}; }
  Shape FilterShape() const { return {out, kernel_h, kernel_w, in / attrs.groups}; }
  Shape DepthwiseFilterShape() const { return {kernel_h, kernel_w, in}; }
  Shape OutputShape(int64_t channels) const {
    return {batch, OutSize(height, kernel_h, 0), OutSize(width, kernel_w, 1), channels};
  }
  // Of the gradient of the input, of the filter.
  ConvGradAttrs GradAttrs(int64_t size_h, int64_t size_w) const {
    ConvGradAttrs grad;
    for (int i = 0; i < 2; ++i) grad.stride[i] = attrs.stride[i];
    for (int i = 0; i < 2; ++i) grad.dilation[i] = attrs.dilation[i];
    for (int i = 0; i < 4; ++i) grad.pad[i] = attrs.pad[i];
    grad.groups = attrs.groups;
    grad.size[0] = int32_t(size_h);
    grad.size[1] = int32_t(size_w);
    return grad;
  }

 private:
  int64_t OutSize(int64_t size, int64_t kernel, int axis) const {
    const int64_t padded = size + attrs.pad[2 * axis] + attrs.pad[2 * axis + 1];
    return (padded - attrs.dilation[axis] * (kernel - 1) - 1) / attrs.stride[axis] + 1;
  }
};

inline std::ostream& operator<<(std::ostream& out, const ConvCase& c) { return out << c.name; }

inline ConvAttrs Attributes(std::array<int, 2> stride, std::array<int, 4> pad,
                            std::array<int, 2> dilation = {1, 1}, int groups = 1) {
  ConvAttrs a;
  for (size_t i = 0; i < 2; ++i) a.stride[i] = stride[i];
  for (size_t i = 0; i < 4; ++i) a.pad[i] = pad[i];
  for (size_t i = 0; i < 2; ++i) a.dilation[i] = dilation[i];
  a.groups = groups;
  return a;
}

// Windows that both dense and depthwise convolutions are tested with; channels are for dense ones.
inline std::vector<ConvCase> Windows() {
  return {
      {"Pointwise", 2, 7, 5, 13, 37, 1, 1, Attributes({1, 1}, {0, 0, 0, 0})},
      {"PointwiseStride2", 2, 7, 5, 13, 19, 1, 1, Attributes({2, 2}, {0, 0, 0, 0})},
      {"PointwisePadded", 1, 5, 3, 7, 5, 1, 1, Attributes({1, 1}, {1, 1, 1, 1})},
      {"Same3x3", 2, 11, 13, 5, 17, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})},
      {"Valid3x3", 1, 11, 7, 17, 3, 3, 3, Attributes({1, 1}, {0, 0, 0, 0})},
      {"Stride2", 3, 11, 13, 7, 11, 3, 3, Attributes({2, 2}, {1, 1, 1, 1})},
      {"Stride2BottomRight", 1, 12, 14, 3, 16, 3, 3, Attributes({2, 2}, {0, 1, 0, 1})},
      {"Stride3Kernel2", 1, 11, 10, 5, 7, 2, 2, Attributes({3, 3}, {0, 0, 0, 0})},
      {"Kernel5Stride2", 1, 13, 13, 11, 7, 5, 5, Attributes({2, 2}, {2, 2, 2, 2})},
      {"Kernel7", 1, 7, 7, 5, 3, 7, 7, Attributes({1, 1}, {3, 3, 3, 3})},
      {"Uneven", 1, 13, 5, 3, 7, 4, 3, Attributes({2, 1}, {1, 2, 0, 1})},
      {"Tall", 2, 17, 1, 1, 5, 10, 1, Attributes({2, 1}, {4, 5, 0, 0})},
      {"Dilated", 1, 13, 11, 3, 5, 3, 3, Attributes({1, 1}, {2, 2, 2, 2}, {2, 2})},
      {"DilatedStride", 1, 13, 17, 3, 5, 3, 3, Attributes({2, 3}, {2, 1, 3, 0}, {3, 2})},
      {"DilatedByStride", 1, 13, 11, 3, 5, 3, 2, Attributes({2, 2}, {1, 1, 1, 1}, {2, 4})},
      {"PadBeyondKernel", 1, 3, 4, 2, 3, 2, 2, Attributes({1, 1}, {3, 2, 2, 3})},
      {"OnePixel", 1, 1, 1, 1, 1, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})},
      {"StrideBeyondInput", 1, 2, 2, 3, 2, 1, 1, Attributes({5, 5}, {0, 0, 0, 0})},
  };
}

}  // namespace pocketune::test
