// What softmax and cross-entropy share, compiled once per SIMD target.

#if defined(POCKETUNE_CPU_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_CPU_SOFTMAX_INL_H_
#undef POCKETUNE_CPU_SOFTMAX_INL_H_
#else
#define POCKETUNE_CPU_SOFTMAX_INL_H_
#endif

#include <cmath>

#include "backends/cpu/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// exp(x - max) * scale
struct ScaledExp {
  HWY_INLINE VF operator()(F32 d, VF x, VF max, VF scale) const {
    return hn::Mul(Exp()(d, hn::Sub(x, max)), scale);
  }
};

// The largest of x[n] and the sum of exp(x - max); log(sum(exp(x))) = max + log(sum).
struct SoftmaxStats {
  float max;
  double sum;
};
HWY_INLINE SoftmaxStats StatsOf(const float* x, int64_t n) {
  const auto max = static_cast<float>(Fold<MaxOf>(Identity(), n, Array{x}));
  return {max, Fold<SumOf>(ScaledExp(), n, Array{x}, Splat{max}, Splat{1.0f})};
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
