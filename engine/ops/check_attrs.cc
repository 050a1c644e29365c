// Ranges of attributes, one overload per struct.
#include <cmath>

#include "engine/base/math.h"
#include "engine/ops/shape_rules.h"

namespace pocketune {
namespace {

// lo <= x <= hi; false for NaN.
bool Between(double x, double lo, double hi) { return x >= lo && x <= hi; }
bool NonNegative(double x) { return std::isfinite(x) && x >= 0; }

Status CheckAct(Act act) {
  if (static_cast<int>(act) < 0 || static_cast<int>(act) >= kActCount) {
    return Invalid("attributes: unknown activation", int64_t(act));
  }
  return OkStatus();
}

template <int N>
bool AllBetween(const int32_t (&values)[N], int64_t lo, int64_t hi) {
  for (const int32_t v : values) {
    if (v < lo || v > hi) return false;
  }
  return true;
}

template <class A>
Status CheckWindow(const A& a) {
  if (!AllBetween(a.stride, 1, kMaxWindow))
    return Invalid("attributes: stride is out of range", a.stride[0]);
  if (!AllBetween(a.pad, 0, kMaxWindow))
    return Invalid("attributes: padding is out of range", a.pad[0]);
  return OkStatus();
}

template <class A>
Status CheckConv(const A& a) {
  PT_RETURN_IF_ERROR(CheckWindow(a));
  if (!AllBetween(a.dilation, 1, kMaxWindow)) {
    return Invalid("attributes: dilation is out of range", a.dilation[0]);
  }
  if (a.groups < 1) return Invalid("attributes: groups must be at least 1", a.groups);
  return OkStatus();
}

Status Check(const NoAttrs&) { return OkStatus(); }
Status Check(const ConvAttrs& a) {
  PT_RETURN_IF_ERROR(CheckConv(a));
  return CheckAct(a.act);
}
Status Check(const ConvGradAttrs& a) {
  PT_RETURN_IF_ERROR(CheckConv(a));
  if (!AllBetween(a.size, 1, INT32_MAX)) {
    return Invalid("attributes: size must be at least 1", a.size[0]);
  }
  return OkStatus();
}
Status Check(const MatmulAttrs& a) { return CheckAct(a.act); }
Status Check(const NormAttrs& a) {
  if (!NonNegative(a.eps)) return Invalid("attributes: eps must be a number not below 0");
  return CheckAct(a.act);
}
Status Check(const NormUpdateAttrs& a) {
  if (!Between(a.momentum, 0, 1)) return Invalid("attributes: momentum is not in [0, 1]");
  if (a.count < 1 || a.count > kMaxElements) return Invalid("attributes: count is out of range");
  return OkStatus();
}
Status Check(const MomentsAttrs& a) {
  if (a.count < 1 || a.count > kMaxElements) return Invalid("attributes: count is out of range");
  return OkStatus();
}
Status Check(const NormGradAttrs& a) {
  PT_RETURN_IF_ERROR(Check(MomentsAttrs{a.count}));
  return Check(NormAttrs{a.eps, a.act});
}
Status Check(const PoolAttrs& a) {
  PT_RETURN_IF_ERROR(CheckWindow(a));
  if (!AllBetween(a.kernel, 1, kMaxWindow)) {
    return Invalid("attributes: pool kernel is out of range", a.kernel[0]);
  }
  // Thus each window holds an element of the input.
  for (int i = 0; i < 4; ++i) {
    if (a.pad[i] >= a.kernel[i / 2]) {
      return Invalid("attributes: pool padding must be less than the kernel", a.pad[i]);
    }
  }
  if (!AllBetween(a.size, 0, INT32_MAX)) {
    return Invalid("attributes: size must not be negative", a.size[0]);
  }
  return OkStatus();
}
Status Check(const ReduceAttrs&) { return OkStatus(); }
Status Check(const ShapeAttrs& a) {
  if (!ShapeInRange(a.shape)) return Invalid("attributes: shape is out of range");
  return OkStatus();
}
Status Check(const TransposeAttrs&) { return OkStatus(); }
Status Check(const AxisAttrs&) { return OkStatus(); }
Status Check(const PadAttrs& a) {
  if (!AllBetween(a.before, 0, INT32_MAX) || !AllBetween(a.after, 0, INT32_MAX)) {
    return Invalid("attributes: padding must not be negative");
  }
  return OkStatus();
}
Status Check(const SliceAttrs& a) {
  if (!ShapeInRange(a.shape)) return Invalid("attributes: shape is out of range");
  return OkStatus();
}
Status Check(const ClampAttrs& a) {
  if (!(a.lo <= a.hi)) return Invalid("attributes: lo must not be above hi");
  return OkStatus();
}
Status Check(const GateAttrs& a) {
  if (a.act != Act::kNone && a.act != Act::kRelu && a.act != Act::kRelu6) {
    return Invalid("attributes: the activation is no gate", int64_t(a.act));
  }
  if (!(a.lo <= a.hi)) return Invalid("attributes: lo must not be above hi");
  return OkStatus();
}
Status CheckBits(int64_t bits) {
  if (bits == 16 || bits == 8) return OkStatus();
  return Invalid("attributes: bits must be 16 or 8", bits);
}
Status Check(const NarrowAttrs& a) { return CheckBits(a.bits); }
Status Check(const WidenAttrs& a) {
  if (!ShapeInRange(a.shape)) return Invalid("attributes: shape is out of range");
  return CheckBits(a.bits);
}
Status Check(const AffineAttrs& a) {
  if (!std::isfinite(a.factor) || !std::isfinite(a.offset)) {
    return Invalid("attributes: factor and offset must be finite");
  }
  return OkStatus();
}
Status Check(const DropoutAttrs& a) {
  if (!Between(a.rate, 0, 1) || a.rate == 1) return Invalid("attributes: rate is not in [0, 1)");
  return OkStatus();
}
Status Check(const LossAttrs& a) {
  if (!Between(a.label_smoothing, 0, 1)) {
    return Invalid("attributes: label_smoothing is not in [0, 1]");
  }
  return OkStatus();
}
Status Check(const OptimizerAttrs& a) {
  if (!NonNegative(a.lr_scale)) return Invalid("attributes: lr_scale must be a number not below 0");
  if (!NonNegative(a.weight_decay)) {
    return Invalid("attributes: weight_decay must be a number not below 0");
  }
  if (!NonNegative(a.momentum)) return Invalid("attributes: momentum must be a number not below 0");
  if (!NonNegative(a.eps)) return Invalid("attributes: eps must be a number not below 0");
  if (!Between(a.beta1, 0, 1) || a.beta1 == 1 || !Between(a.beta2, 0, 1) || a.beta2 == 1) {
    return Invalid("attributes: beta1 and beta2 must be in [0, 1)");
  }
  return OkStatus();
}

}  // namespace

bool ShapeInRange(const Shape& shape) {
  int64_t n = 1;
  for (const int64_t d : shape.dims()) {
    if (d < 1 || !CheckedMul(n, d, &n) || n > kMaxElements) return false;
  }
  return true;
}

Status CheckAttrs(const Attrs& attrs) {
  return std::visit([](const auto& a) { return Check(a); }, attrs);
}

}  // namespace pocketune
