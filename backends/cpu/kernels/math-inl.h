// Vector math and activations, compiled once per SIMD target. Errors are below 4 ulp; NaN stays
// NaN.

#if defined(POCKETUNE_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_CPU_MATH_INL_H_
#undef POCKETUNE_CPU_MATH_INL_H_
#else
#define POCKETUNE_CPU_MATH_INL_H_
#endif

#include "backends/cpu/kernels/simd-inl.h"
#include "engine/ops/attrs.h"
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// Highway's Exp turns NaN into 0 and wraps around far beyond the largest finite result.
struct Exp {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = hn::Exp(d, hn::Min(x, hn::Set(d, 89.0f)));
    return hn::IfThenElse(hn::IsNaN(x), x, y);
  }
};

// Highway's Log takes positive finite numbers only.
struct Log {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    const V zero = hn::Zero(d);
    const V inf = hn::Set(d, __builtin_inff());
    V y = hn::Log(d, x);
    y = hn::IfThenElse(hn::Lt(x, inf), y, x);
    y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(inf), y);
    return hn::IfThenElse(hn::Lt(x, zero), hn::Set(d, __builtin_nanf("")), y);
  }
};

template <class D, class V = hn::Vec<D>>
HWY_INLINE V ClampTo(D d, V x, float lo, float hi) {
  return AtMost(hn::Set(d, hi), AtLeast(hn::Set(d, lo), x));
}

struct Relu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return AtLeast(hn::Zero(d), x);
  }
};
struct Relu6 {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return ClampTo(d, x, 0.0f, 6.0f);
  }
};
struct HardSigmoid {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Mul(Relu6()(d, hn::Add(x, hn::Set(d, 3.0f))), hn::Set(d, 1.0f / 6.0f));
  }
};
struct HardSwish {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Mul(x, HardSigmoid()(d, x));
  }
};
// Through exp(-|x|), which cannot overflow and keeps tiny results exact.
struct Sigmoid {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    const V one = hn::Set(d, 1.0f);
    const V e = Exp()(d, hn::Neg(hn::Abs(x)));
    return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
  }
};
struct Silu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Mul(x, Sigmoid()(d, x));
  }
};
struct Tanh {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Tanh(d, x);
  }
};

// Bounds that a kernel can clamp its results to before it stores them; none for activations that
// are no clamps.
struct Bounds {
  float lo = -__builtin_inff(), hi = __builtin_inff();
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return ClampTo(d, x, lo, hi);
  }
};
HWY_INLINE bool IsClamp(Act act) {
  return act == Act::kNone || act == Act::kRelu || act == Act::kRelu6;
}
HWY_INLINE Bounds BoundsOf(Act act) {
  if (act == Act::kRelu) return {0.0f};
  return act == Act::kRelu6 ? Bounds{0.0f, 6.0f} : Bounds{};
}

// Calls fn with the functor of `act`.
template <class Fn>
HWY_INLINE void WithAct(Act act, const Fn& fn) {
  switch (act) {
    case Act::kNone:
      return fn(Identity());
    case Act::kRelu:
      return fn(Relu());
    case Act::kRelu6:
      return fn(Relu6());
    case Act::kHardSwish:
      return fn(HardSwish());
    case Act::kHardSigmoid:
      return fn(HardSigmoid());
    case Act::kSilu:
      return fn(Silu());
    case Act::kSigmoid:
      return fn(Sigmoid());
    case Act::kTanh:
      return fn(Tanh());
  }
}

// Applies `act` to n values in place.
HWY_INLINE void ActInPlace(Act act, float* y, int64_t n) {
  if (act == Act::kNone) return;
  WithAct(act, [&](auto f) HWY_ATTR { Map(f, n, y, Array{y}); });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
