// What the reference kernels share; private to backends/reference.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "backends/api/kernel.h"

namespace pocketune::reference {

#define PT_OP(kind, ...) void Run##kind(const KernelArgs& args);
#include "engine/ops/ops.def"
#undef PT_OP

// Defines Run<kind>: the body that follows is a template over the storage type T.
#define PT_REFERENCE(kind)                      \
  template <typename T>                         \
  static void kind##Of(const KernelArgs& args); \
  void Run##kind(const KernelArgs& args) {      \
    if (!AnyResult(args)) return;               \
    if (InDouble(args)) {                       \
      kind##Of<double>(args);                   \
    } else {                                    \
      kind##Of<float>(args);                    \
    }                                           \
  }                                             \
  template <typename T>                         \
  static void kind##Of(const KernelArgs& args)

inline bool AnyResult(const KernelArgs& args) {
  for (const TensorView& result : args.results) {
    if (result.data != nullptr) return true;
  }
  return false;
}

inline bool InDouble(const KernelArgs& args) {
  return args.results[0].dtype == DType::kF64 ||
         (!args.operands.empty() && args.operands[0].dtype == DType::kF64);
}

// Data of operand i, nullptr where it is absent.
template <typename T>
const T* In(const KernelArgs& args, size_t i) {
  return i < args.operands.size() ? args.operands[i].as<const T>() : nullptr;
}
template <typename T>
T* Out(const KernelArgs& args, size_t i) {
  return args.results[i].as<T>();
}

// A result that nobody reads is not there.
template <typename T>
void Store(T* result, int64_t i, double value) {
  if (result != nullptr) result[i] = static_cast<T>(value);
}

inline double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double Clip(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

inline double Activate(Act act, double x) {
  switch (act) {
    case Act::kNone:
      return x;
    case Act::kRelu:
      return x < 0 ? 0 : x;
    case Act::kRelu6:
      return Clip(x, 0, 6);
    case Act::kHardSwish:
      return x * Clip(x + 3, 0, 6) / 6;
    case Act::kHardSigmoid:
      return Clip(x + 3, 0, 6) / 6;
    case Act::kSilu:
      return x * Sigmoid(x);
    case Act::kSigmoid:
      return Sigmoid(x);
    case Act::kTanh:
      return std::tanh(x);
  }
  return x;
}

// Does `x` replace the largest value so far? The first of equals stays; NaN beats all.
inline bool Beats(double x, double best) {
  return x > best || (std::isnan(x) && !std::isnan(best));
}

// log(sum(exp(x))) over n >= 1 elements.
template <typename T>
double LogSumExp(const T* x, int64_t n) {
  double max = x[0];
  for (int64_t i = 1; i < n; ++i) max = Beats(x[i], max) ? x[i] : max;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - max);
  return max + std::log(sum);
}

// Sums that start at 0, one per element of result 0.
inline double* Sums(const KernelArgs& args) {
  double* sums = static_cast<double*>(args.scratch);
  std::fill_n(sums, args.results[0].shape.elems(), 0.0);
  return sums;
}

// Result 0 from its sums.
template <typename T>
void Round(const KernelArgs& args, const double* sums) {
  T* result = args.results[0].as<T>();
  for (int64_t i = 0; i < args.results[0].shape.elems(); ++i) result[i] = static_cast<T>(sums[i]);
}

using Index = std::array<int64_t, Shape::kMaxRank>;

// Row-major coordinates of element i of `shape`.
inline Index Coordinates(const Shape& shape, int64_t i) {
  Index at{};
  for (int d = shape.rank() - 1; d >= 0; --d) {
    at[d] = i % shape[d];
    i /= shape[d];
  }
  return at;
}

// Distance of neighbours along each dimension.
inline Index Strides(const Shape& shape) {
  Index strides{};
  int64_t stride = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= shape[d];
  }
  return strides;
}

// Strides of `from` along the dimensions of `to`, to which it is broadcast: 0 where it stretches.
inline Index BroadcastStrides(const Shape& from, const Shape& to) {
  const Index own = Strides(from);
  Index strides{};
  for (int d = 1; d <= from.rank(); ++d) {
    if (from[-d] != 1) strides[to.rank() - d] = own[from.rank() - d];
  }
  return strides;
}

inline int64_t Dot(const Index& a, const Index& b) {
  int64_t sum = 0;
  for (size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
  return sum;
}

}  // namespace pocketune::reference
