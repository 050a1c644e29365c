// Windowed pooling and its gradients. x [N,H,W,C], y [N,OH,OW,C].
#include "backends/reference/reference_ops.h"

namespace pocketune::reference {
namespace {

// Calls visit(x_index) for each element of the window of y's element i that lies inside x, in row
// order; returns their number.
template <class Fn>
int64_t ForEachInWindow(const PoolAttrs& a, const Shape& x, const Shape& y, int64_t i,
                        const Fn& visit) {
  const Index at = Coordinates(y, i);
  int64_t inside = 0;
  for (int64_t kh = 0; kh < a.kernel[0]; ++kh) {
    for (int64_t kw = 0; kw < a.kernel[1]; ++kw) {
      const int64_t h = at[1] * a.stride[0] - a.pad[0] + kh;
      const int64_t w = at[2] * a.stride[1] - a.pad[2] + kw;
      if (h < 0 || h >= x[1] || w < 0 || w >= x[2]) continue;
      visit(((at[0] * x[1] + h) * x[2] + w) * x[3] + at[3]);
      ++inside;
    }
  }
  return inside;
}

double Divisor(const PoolAttrs& a, int64_t inside) {
  return a.count_include_pad ? double(a.kernel[0]) * a.kernel[1] : double(inside);
}

// Index of the first largest element of a window, at least one of which lies inside x.
template <typename T>
int64_t Largest(const PoolAttrs& a, const T* x, const Shape& xs, const Shape& ys, int64_t i) {
  int64_t best = -1;
  ForEachInWindow(a, xs, ys, i, [&](int64_t j) {
    if (best < 0 || Beats(x[j], x[best])) best = j;
  });
  return best;
}

}  // namespace

PT_REFERENCE(MaxPool) {
  const Shape& xs = args.operands[0].shape;
  const Shape& ys = args.results[0].shape;
  const T* x = In<T>(args, 0);
  for (int64_t i = 0; i < ys.elems(); ++i) {
    Out<T>(args, 0)[i] = x[Largest(args.Attr<PoolAttrs>(), x, xs, ys, i)];
  }
}

PT_REFERENCE(AvgPool) {
  const PoolAttrs& a = args.Attr<PoolAttrs>();
  const Shape& ys = args.results[0].shape;
  const T* x = In<T>(args, 0);
  for (int64_t i = 0; i < ys.elems(); ++i) {
    double sum = 0;
    const int64_t inside =
        ForEachInWindow(a, args.operands[0].shape, ys, i, [&](int64_t j) { sum += x[j]; });
    Out<T>(args, 0)[i] = static_cast<T>(sum / Divisor(a, inside));
  }
}

PT_REFERENCE(MaxPoolGrad) {
  const Shape& xs = args.operands[1].shape;
  const Shape& ys = args.operands[0].shape;
  const T* dy = In<T>(args, 0);
  const T* x = In<T>(args, 1);
  double* dx = Sums(args);
  for (int64_t i = 0; i < ys.elems(); ++i) {
    dx[Largest(args.Attr<PoolAttrs>(), x, xs, ys, i)] += dy[i];
  }
  Round<T>(args, dx);
}

PT_REFERENCE(AvgPoolGrad) {
  const PoolAttrs& a = args.Attr<PoolAttrs>();
  const Shape& xs = args.results[0].shape;
  const Shape& ys = args.operands[0].shape;
  const T* dy = In<T>(args, 0);
  double* dx = Sums(args);
  for (int64_t i = 0; i < ys.elems(); ++i) {
    const int64_t inside = ForEachInWindow(a, xs, ys, i, [](int64_t) {});
    ForEachInWindow(a, xs, ys, i, [&](int64_t j) { dx[j] += dy[i] / Divisor(a, inside); });
  }
  Round<T>(args, dx);
}

}  // namespace pocketune::reference
