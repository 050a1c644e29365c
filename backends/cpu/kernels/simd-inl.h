// Vector loops over float arrays, compiled once per SIMD target: Map and Fold apply a functor to
// whole vectors and to the padded rest, so that an element's value never depends on its position.

#if defined(POCKETUNE_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POCKETUNE_CPU_SIMD_INL_H_
#undef POCKETUNE_CPU_SIMD_INL_H_
#else
#define POCKETUNE_CPU_SIMD_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "backends/api/kernel.h"
#include "engine/base/math.h"
#include "hwy/highway.h"

// Defines Run<Kind> of the backend as the version for the processor's level. Stands in HWY_ONCE.
#define PT_CPU_DISPATCH(kind) \
  HWY_EXPORT(Run##kind);      \
  void Run##kind(const KernelArgs& args) { HWY_DYNAMIC_DISPATCH(Run##kind)(args); }

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF = hn::Vec<F32>;

// Elements that one work item handles: fixed, so that nothing depends on the number of threads.
inline constexpr int64_t kItemElems = 32 * 1024;

HWY_INLINE int64_t FloatLanes() { return static_cast<int64_t>(hn::Lanes(F32())); }

// The larger, the smaller of a bound and x; x where that is NaN. x86 gives the second operand then,
// Arm the one that is a number.
template <class V>
HWY_INLINE V AtLeast(V bound, V x) {
#if HWY_TARGET == HWY_NEON
  return hn::IfThenElse(hn::Lt(x, bound), bound, x);
#else
  return hn::Max(bound, x);
#endif
}
template <class V>
HWY_INLINE V AtMost(V bound, V x) {
#if HWY_TARGET == HWY_NEON
  return hn::IfThenElse(hn::Lt(bound, x), bound, x);
#else
  return hn::Min(bound, x);
#endif
}

// v where `passes`, else 0. Not IfThenElseZero: GCC makes one masked load of it and the load of v
// at AVX-512, and a Zen 5 takes twice as long over loads whose masks are computed just before.
template <class M>
HWY_INLINE VF PassWhere(M passes, VF v) {
  return hn::And(hn::VecFromMask(F32(), passes), v);
}

// The first n < Lanes elements, the rest zero. Touches nothing beyond them.
template <class D = F32>
HWY_INLINE hn::Vec<D> LoadSome(const float* p, int64_t n, D d = D()) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(n)), d, p);
#else
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(lanes, p, static_cast<size_t>(n) * sizeof(float));
  return hn::Load(d, lanes);
#endif
}

template <class D = F32>
HWY_INLINE void StoreSome(hn::Vec<D> v, float* p, int64_t n, D d = D()) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(n)), d, p);
#else
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(v, d, lanes);
  std::memcpy(p, lanes, static_cast<size_t>(n) * sizeof(float));
#endif
}

// Access to a whole vector, or to the first n elements of one.
struct WholeVector {
  HWY_INLINE VF Load(const float* p) const { return hn::LoadU(F32(), p); }
  HWY_INLINE void Store(VF v, float* p) const { hn::StoreU(v, F32(), p); }
};
struct PartVector {
  int64_t n;
  HWY_INLINE VF Load(const float* p) const { return LoadSome(p, n); }
  HWY_INLINE void Store(VF v, float* p) const { StoreSome(v, p, n); }
};

// fn(access, i) for each vector of n elements; the last may be a part.
template <class Fn>
HWY_INLINE void ForEachVector(int64_t n, const Fn& fn) {
  const int64_t lanes = FloatLanes();
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) fn(WholeVector(), i);
  if (i < n) fn(PartVector{n - i}, i);
}

// What Map and Fold read: an array, or one value for all elements.
struct Array {
  const float* data;
  HWY_INLINE VF Full(int64_t i) const { return hn::LoadU(F32(), data + i); }
  HWY_INLINE VF Some(int64_t i, int64_t n) const { return LoadSome(data + i, n); }
  Array From(int64_t i) const { return {data + i}; }
};
struct Splat {
  float value;
  HWY_INLINE VF Full(int64_t) const { return hn::Set(F32(), value); }
  HWY_INLINE VF Some(int64_t, int64_t) const { return hn::Set(F32(), value); }
  Splat From(int64_t) const { return *this; }
};

// y[i] = f(sources[i]...) for i < n. y may be one of the sources.
template <class F, class... Sources>
HWY_INLINE void Map(const F& f, int64_t n, float* y, const Sources&... sources) {
  const F32 d;
  const int64_t lanes = FloatLanes();
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, sources.Full(i)...), d, y + i);
  if (i < n) StoreSome(f(d, sources.Some(i, n - i)...), y + i, n - i);
}

// How Fold and the column folds combine values.
struct SumOf {
  static constexpr float kInit = 0.0f;
  HWY_INLINE VF operator()(VF a, VF b) const { return hn::Add(a, b); }
  HWY_INLINE float Lanes(VF v) const { return hn::GetLane(hn::SumOfLanes(F32(), v)); }
  static double Scalar(double a, double b) { return a + b; }
};
// NaN beats all.
struct MaxOf {
  static constexpr float kInit = -__builtin_inff();
  HWY_INLINE VF operator()(VF a, VF b) const {
    return hn::IfThenElse(hn::IsNaN(a), a, AtLeast(a, b));
  }
  HWY_INLINE float Lanes(VF v) const {
    const F32 d;
    if (!hn::AllFalse(d, hn::IsNaN(v))) return __builtin_nanf("");
    return hn::GetLane(hn::MaxOfLanes(d, v));
  }
  static double Scalar(double a, double b) { return a > b || a != a ? a : b; }
};

// f(sources[i]...) combined over n <= a few thousand elements, in an order fixed by n.
template <class Op, class F, class... Sources>
HWY_INLINE float FoldBlock(const F& f, int64_t n, const Sources&... sources) {
  const F32 d;
  const Op op;
  const int64_t lanes = FloatLanes();
  const VF init = hn::Set(d, Op::kInit);
  VF a0 = init, a1 = init, a2 = init, a3 = init;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a0 = op(a0, f(d, sources.Full(i)...));
    a1 = op(a1, f(d, sources.Full(i + lanes)...));
    a2 = op(a2, f(d, sources.Full(i + 2 * lanes)...));
    a3 = op(a3, f(d, sources.Full(i + 3 * lanes)...));
  }
  for (; i + lanes <= n; i += lanes) a0 = op(a0, f(d, sources.Full(i)...));
  if (i < n) {
    const auto valid = hn::FirstN(d, static_cast<size_t>(n - i));
    a1 = op(a1, hn::IfThenElse(valid, f(d, sources.Some(i, n - i)...), init));
  }
  return op.Lanes(op(op(a0, a1), op(a2, a3)));
}

// The same over any number of elements: blocks in float, the sum of blocks in double.
inline constexpr int64_t kFoldBlock = 4096;
template <class Op, class F, class... Sources>
HWY_INLINE double Fold(const F& f, int64_t n, const Sources&... sources) {
  double result = static_cast<double>(Op::kInit);
  for (int64_t i = 0; i < n; i += kFoldBlock) {
    const int64_t size = std::min(kFoldBlock, n - i);
    result = Op::Scalar(result, double{FoldBlock<Op>(f, size, sources.From(i)...)});
  }
  return result;
}

// Runs fn(begin, end) over [0, n) in pieces of `size` (the last may be shorter).
template <class Fn>
void ParallelPieces(ThreadPool* pool, int64_t n, int64_t size, const Fn& fn) {
  pool->ParallelFor(CeilDiv(n, size),
                    [&](int64_t i, int) { fn(i * size, std::min(n, (i + 1) * size)); });
}

// Pieces of rows of `elems` elements such that a piece has about kItemElems.
inline int64_t RowsPerItem(int64_t elems) {
  return std::max<int64_t>(1, kItemElems / std::max<int64_t>(elems, 1));
}

// Result 0 = f(operand 0) or f(operand 0, operand 1), all of one shape.
template <class F>
void RunMap(const KernelArgs& args, const F& f) {
  const float* a = args.operands[0].as<float>();
  const float* b = args.operands.size() > 1 ? args.operands[1].as<float>() : nullptr;
  float* y = args.results[0].as<float>();
  ParallelPieces(args.pool, args.results[0].shape.elems(), kItemElems,
                 [&](int64_t i, int64_t end) HWY_ATTR {
                   if constexpr (std::is_invocable_v<F, F32, VF, VF>) {
                     Map(f, end - i, y + i, Array{a + i}, Array{b + i});
                   } else {
                     Map(f, end - i, y + i, Array{a + i});
                   }
                 });
}

struct Identity {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return x;
  }
};

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
