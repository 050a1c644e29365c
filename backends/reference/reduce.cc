// Reductions, and softmax over the last dimension.
#include <algorithm>
#include <limits>

#include "backends/reference/reference_ops.h"

namespace pocketune::reference {
namespace {

// Strides along x's dimensions that lead from an element of x to the one that it is reduced into.
Index ReducedStrides(const Shape& x, uint32_t axes) {
  Index strides{};
  int64_t stride = 1;
  for (int d = x.rank() - 1; d >= 0; --d) {
    if ((axes >> d & 1) != 0) continue;
    strides[d] = stride;
    stride *= x[d];
  }
  return strides;
}

// sums[j] = sums[j] <fn> x[i], over all i that are reduced into j, from `initial`.
template <typename T, class Fn>
double* Fold(const KernelArgs& args, double initial, const Fn& fn) {
  const Shape& shape = args.operands[0].shape;
  const Index strides = ReducedStrides(shape, args.Attr<ReduceAttrs>().axes);
  const T* x = In<T>(args, 0);
  double* sums = static_cast<double*>(args.scratch);
  std::fill_n(sums, args.results[0].shape.elems(), initial);
  for (int64_t i = 0; i < shape.elems(); ++i) {
    double& sum = sums[Dot(Coordinates(shape, i), strides)];
    sum = fn(sum, double{x[i]});
  }
  return sums;
}

template <typename T>
void StoreScaled(const KernelArgs& args, const double* sums, double divisor) {
  T* y = Out<T>(args, 0);
  for (int64_t i = 0; i < args.results[0].shape.elems(); ++i) {
    y[i] = static_cast<T>(sums[i] / divisor);
  }
}

double Plus(double a, double b) { return a + b; }

// Calls row(start of the row, its width) for each row of the last dimension.
template <class Fn>
void ForEachRow(const KernelArgs& args, const Fn& row) {
  const Shape& shape = args.results[0].shape;
  const int64_t width = shape.rank() == 0 ? 1 : shape[-1];
  for (int64_t start = 0; start < shape.elems(); start += width) row(start, width);
}

}  // namespace

PT_REFERENCE(ReduceSum) { StoreScaled<T>(args, Fold<T>(args, 0, Plus), 1); }

PT_REFERENCE(ReduceMean) {
  const double elements =
      double(args.operands[0].shape.elems()) / double(args.results[0].shape.elems());
  StoreScaled<T>(args, Fold<T>(args, 0, Plus), elements);
}

PT_REFERENCE(ReduceMax) {
  const double* best = Fold<T>(args, -std::numeric_limits<double>::infinity(),
                               [](double a, double b) { return Beats(b, a) ? b : a; });
  StoreScaled<T>(args, best, 1);
}

PT_REFERENCE(ReduceMaxGrad) {
  const Shape& shape = args.operands[1].shape;
  const Index strides = ReducedStrides(shape, args.Attr<ReduceAttrs>().axes);
  const T* dy = In<T>(args, 0);
  const T* x = In<T>(args, 1);
  const T* y = In<T>(args, 2);
  T* dx = Out<T>(args, 0);
  double* ties = static_cast<double*>(args.scratch);  // shaped as y
  std::fill_n(ties, args.operands[2].shape.elems(), 0.0);
  for (int64_t i = 0; i < shape.elems(); ++i) {
    const int64_t j = Dot(Coordinates(shape, i), strides);
    if (x[i] == y[j]) ++ties[j];
  }
  for (int64_t i = 0; i < shape.elems(); ++i) {
    const int64_t j = Dot(Coordinates(shape, i), strides);
    dx[i] = static_cast<T>(x[i] == y[j] ? dy[j] / ties[j] : 0.0);
  }
}

PT_REFERENCE(Softmax) {
  ForEachRow(args, [&](int64_t start, int64_t n) {
    const T* x = In<T>(args, 0) + start;
    T* y = Out<T>(args, 0) + start;
    const double log_sum = LogSumExp(x, n);
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(std::exp(x[i] - log_sum));
  });
}

PT_REFERENCE(LogSoftmax) {
  ForEachRow(args, [&](int64_t start, int64_t n) {
    const T* x = In<T>(args, 0) + start;
    T* y = Out<T>(args, 0) + start;
    const double log_sum = LogSumExp(x, n);
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(x[i] - log_sum);
  });
}

PT_REFERENCE(SoftmaxGrad) {
  ForEachRow(args, [&](int64_t start, int64_t n) {
    const T* dy = In<T>(args, 0) + start;
    const T* y = In<T>(args, 1) + start;
    T* dx = Out<T>(args, 0) + start;
    double dot = 0;
    for (int64_t i = 0; i < n; ++i) dot += double{dy[i]} * double{y[i]};
    for (int64_t i = 0; i < n; ++i) dx[i] = static_cast<T>(y[i] * (dy[i] - dot));
  });
}

PT_REFERENCE(LogSoftmaxGrad) {
  ForEachRow(args, [&](int64_t start, int64_t n) {
    const T* dy = In<T>(args, 0) + start;
    const T* y = In<T>(args, 1) + start;
    T* dx = Out<T>(args, 0) + start;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += dy[i];
    for (int64_t i = 0; i < n; ++i) dx[i] = static_cast<T>(dy[i] - std::exp(double{y[i]}) * sum);
  });
}

}  // namespace pocketune::reference
