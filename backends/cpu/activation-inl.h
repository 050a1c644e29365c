// Activations on vectors, shared by the epilogues of convolutions, matmul and normalization.
#if defined(POCKETUNE_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_ACTIVATION_INL_H_
#undef POCKETUNE_ACTIVATION_INL_H_
#else
#define POCKETUNE_ACTIVATION_INL_H_
#endif

#include "engine/ops/attrs.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 1 / (1 + exp(-v)). exp's argument is clamped to where the result is still a normal number.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V SigmoidOf(D d, V v) {
  const V one = hn::Set(d, 1.0f);
  const V x = hn::Min(hn::Set(d, 87.0f), hn::Neg(v));
  return hn::Div(one, hn::Add(one, hn::Exp(d, x)));
}

// min(max(v, lo), hi); NaN stays NaN, which the numerical guard relies on.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ClampOf(D d, V v, float lo, float hi) {
  const V clamped = hn::Min(hn::Max(v, hn::Set(d, lo)), hn::Set(d, hi));
  return hn::IfThenElse(hn::IsNaN(v), v, clamped);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V HardSigmoidOf(D d, V v) {
  const V sixth = hn::Set(d, 1.0f / 6.0f);
  return hn::Mul(ClampOf(d, hn::Add(v, hn::Set(d, 3.0f)), 0.0f, 6.0f), sixth);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V ActOf(D d, Act act, V v) {
  switch (act) {
    case Act::kNone:
      return v;
    case Act::kRelu:
      return hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Zero(d), v);
    case Act::kRelu6:
      return ClampOf(d, v, 0.0f, 6.0f);
    case Act::kHardSwish:
      return hn::Mul(v, HardSigmoidOf(d, v));
    case Act::kHardSigmoid:
      return HardSigmoidOf(d, v);
    case Act::kSilu:
      return hn::Mul(v, SigmoidOf(d, v));
    case Act::kSigmoid:
      return SigmoidOf(d, v);
    case Act::kTanh:
      return hn::Tanh(d, v);
  }
  return v;
}

// Applies `act` to `count` floats in place.
HWY_INLINE void ActInPlace(Act act, float* HWY_RESTRICT p, int64_t count) {
  if (act == Act::kNone) return;
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(ActOf(d, act, hn::LoadU(d, p + i)), d, p + i);
  const hn::CappedTag<float, 1> d1;
  for (; i < count; ++i) hn::StoreU(ActOf(d1, act, hn::LoadU(d1, p + i)), d1, p + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace pocketune
HWY_AFTER_NAMESPACE();

#endif  // POCKETUNE_ACTIVATION_INL_H_
