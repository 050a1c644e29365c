// Attributes of ops: plain structs that the IR prints, the plan stores byte for byte and kernels
// read. Each lists its fields once, in Visit; printing, parsing, comparing and checking use that.
#pragma once

#include <cstdint>
#include <type_traits>
#include <variant>

#include "pocketune/types.h"

namespace pocketune {

// An activation that a convolution, a matmul or a normalization applies to its result.
enum class Act : int32_t {
  kNone = 0,
  kRelu,
  kRelu6,
  kHardSwish,
  kHardSigmoid,
  kSilu,
  kSigmoid,
  kTanh
};
inline constexpr int kActCount = 8;

struct NoAttrs {
  template <class Self, class V>
  static void Visit(Self&, V&&) {}
};

// Convolution and depthwise convolution. pad = top, bottom, left, right.
struct ConvAttrs {
  int32_t stride[2] = {1, 1};
  int32_t pad[4] = {0, 0, 0, 0};
  int32_t dilation[2] = {1, 1};
  int32_t groups = 1;  // always 1 for depthwise_conv2d
  Act act = Act::kNone;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("act", s.act);
    v("dilation", s.dilation);
    v("groups", s.groups);
    v("pad", s.pad);
    v("stride", s.stride);
  }
};

// Gradient of a convolution: `size` is the spatial size (height, width) of what is computed: of the
// input for *_grad_input, of the kernel for *_grad_filter. `act` is always none.
struct ConvGradAttrs {
  int32_t stride[2] = {1, 1};
  int32_t pad[4] = {0, 0, 0, 0};
  int32_t dilation[2] = {1, 1};
  int32_t groups = 1;
  int32_t size[2] = {0, 0};
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("dilation", s.dilation);
    v("groups", s.groups);
    v("pad", s.pad);
    v("size", s.size);
    v("stride", s.stride);
  }
};

// Batched matrix product of the last two dimensions, op(A) op(B) + bias.
struct MatmulAttrs {
  bool trans_a = false;
  bool trans_b = false;
  Act act = Act::kNone;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("act", s.act);
    v("trans_a", s.trans_a);
    v("trans_b", s.trans_b);
  }
};

// Batch normalization over all but the last dimension.
struct NormAttrs {
  double eps = 1e-5;
  Act act = Act::kNone;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("act", s.act);
    v("eps", s.eps);
  }
};

// running = (1 - momentum) * running + momentum * batch; the variance is made unbiased by
// n / (n - 1), n = `count` elements per channel.
struct NormUpdateAttrs {
  double momentum = 0.1;
  int64_t count = 0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("count", s.count);
    v("momentum", s.momentum);
  }
};

// How many rows each sample's moments were taken of.
struct MomentsAttrs {
  int64_t count = 0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("count", s.count);
  }
};

// The gradient of a batch normalization, `count` = rows of the whole batch.
struct NormGradAttrs {
  double eps = 1e-5;
  int64_t count = 0;
  Act act = Act::kNone;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("act", s.act);
    v("count", s.count);
    v("eps", s.eps);
  }
};

// Windowed pooling. Max ignores the padding, average divides by the window's elements inside the
// input unless `count_include_pad`. `size` = input height, width: used by the gradients alone.
struct PoolAttrs {
  int32_t kernel[2] = {1, 1};
  int32_t stride[2] = {1, 1};
  int32_t pad[4] = {0, 0, 0, 0};
  bool count_include_pad = false;
  int32_t size[2] = {0, 0};
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("count_include_pad", s.count_include_pad);
    v("kernel", s.kernel);
    v("pad", s.pad);
    v("size", s.size);
    v("stride", s.stride);
  }
};

// Bit i of `axes` says that dimension i is reduced.
struct ReduceAttrs {
  uint32_t axes = 0;
  bool keep_dims = false;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("axes", s.axes);
    v("keep_dims", s.keep_dims);
  }
};

// Target shape of reshape and broadcast_to; value of fill.
struct ShapeAttrs {
  Shape shape;
  double value = 0.0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("shape", s.shape);
    v("value", s.value);
  }
};

// Result dimension i is operand dimension perm[i].
struct TransposeAttrs {
  int32_t perm[6] = {0, 1, 2, 3, 4, 5};
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("perm", s.perm);
  }
};

struct AxisAttrs {
  int32_t axis = 0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("axis", s.axis);
  }
};

// Elements added before and after each dimension, with a constant value.
struct PadAttrs {
  int32_t before[6] = {};
  int32_t after[6] = {};
  double value = 0.0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("after", s.after);
    v("before", s.before);
    v("value", s.value);
  }
};

// The box [begin, begin + shape).
struct SliceAttrs {
  int32_t begin[6] = {};
  Shape shape;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("begin", s.begin);
    v("shape", s.shape);
  }
};

struct ClampAttrs {
  double lo = 0.0;
  double hi = 0.0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("hi", s.hi);
    v("lo", s.lo);
  }
};

// Where a clamp lets the gradient pass: relu and relu6 where their result (as well as their
// operand) lies between the bounds, none where lo <= x <= hi, x the operand of a clamp.
struct GateAttrs {
  Act act = Act::kNone;  // none, relu or relu6
  double lo = 0.0;       // of `none` alone
  double hi = 0.0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("act", s.act);
    v("hi", s.hi);
    v("lo", s.lo);
  }
};

// How many bits an element is packed into: 16 or 8 (narrow.h).
struct NarrowAttrs {
  int32_t bits = 16;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("bits", s.bits);
  }
};

// The same, and the shape that was packed.
struct WidenAttrs {
  int32_t bits = 16;
  Shape shape;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("bits", s.bits);
    v("shape", s.shape);
  }
};

// y = factor * x + offset.
struct AffineAttrs {
  double factor = 1.0;
  double offset = 0.0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("factor", s.factor);
    v("offset", s.offset);
  }
};

// Element i is kept, times 1 / (1 - rate), where RandomStream(page.seed, stream of `salt` and
// page.step).Uniform(i) >= rate (DropoutStream below).
struct DropoutAttrs {
  double rate = 0.5;
  uint32_t salt = 0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("rate", s.rate);
    v("salt", s.salt);
  }
};

// Stream of the mask of one dropout op in one step.
constexpr uint64_t DropoutStream(uint32_t salt, uint64_t step) {
  return (uint64_t{salt} << 40) ^ step;
}

struct LossAttrs {
  double label_smoothing = 0.0;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("label_smoothing", s.label_smoothing);
  }
};

// Update of one parameter with learning rate page.learning_rate * lr_scale. Decay is added to the
// gradient (SGD family) or decoupled (AdamW).
struct OptimizerAttrs {
  double lr_scale = 1.0;
  double weight_decay = 0.0;
  double momentum = 0.0;
  bool nesterov = false;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("beta1", s.beta1);
    v("beta2", s.beta2);
    v("eps", s.eps);
    v("lr_scale", s.lr_scale);
    v("momentum", s.momentum);
    v("nesterov", s.nesterov);
    v("weight_decay", s.weight_decay);
  }
};

using Attrs =
    std::variant<NoAttrs, ConvAttrs, ConvGradAttrs, MatmulAttrs, NormAttrs, NormUpdateAttrs,
                 PoolAttrs, ReduceAttrs, ShapeAttrs, TransposeAttrs, AxisAttrs, PadAttrs,
                 SliceAttrs, ClampAttrs, AffineAttrs, DropoutAttrs, LossAttrs, OptimizerAttrs,
                 GateAttrs, MomentsAttrs, NormGradAttrs, NarrowAttrs, WidenAttrs>;

}  // namespace pocketune
