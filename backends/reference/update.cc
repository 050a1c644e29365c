// Updates of parameters and states. Nothing is written in a step with a fault, and a gradient that
// is not finite is one. Results may lie over their operands.
#include "backends/reference/reference_ops.h"
#include "engine/ops/slice_index.h"

namespace pocketune::reference {
namespace {

template <typename T>
bool AllFinite(const TensorView& x) {
  for (int64_t i = 0; i < x.shape.elems(); ++i) {
    if (!std::isfinite(x.as<T>()[i])) return false;
  }
  return true;
}

// May the step write? Raises a fault where the new values in operands [first, end) are not finite.
template <typename T>
bool MayWrite(const KernelArgs& args, size_t first) {
  for (size_t i = first; i < args.operands.size(); ++i) {
    if (!AllFinite<T>(args.operands[i])) args.page->Raise(kFaultGradient);
  }
  return !args.page->faulty();
}

// Where in the parameter stands what element i of the gradient, operand `gradient`, updates?
template <typename T>
int64_t PlaceOf(const KernelArgs& args, size_t gradient, int64_t i) {
  if (args.operands.size() == gradient + 1) return i;
  const Shape& whole = args.operands[0].shape;
  const Shape& part = args.operands[gradient].shape;
  const int axis = IndexedAxis(whole, part);
  Index at = Coordinates(part, i);
  at[axis] = SliceAt(In<T>(args, gradient + 1)[at[axis]], whole[axis]);
  return Dot(at, Strides(whole));
}

// Of a parameter of which only slices change the rest stays, also where it is not updated in place.
template <typename T>
void KeepRest(const KernelArgs& args) {
  std::copy_n(In<T>(args, 0), args.operands[0].shape.elems(), Out<T>(args, 0));
}

double LearningRate(const KernelArgs& args) {
  return args.page->learning_rate * args.Attr<OptimizerAttrs>().lr_scale;
}

}  // namespace

PT_REFERENCE(BatchNormUpdate) {
  const NormUpdateAttrs& a = args.Attr<NormUpdateAttrs>();
  if (!MayWrite<T>(args, 2)) return;
  const double n = double(a.count);
  const double unbias = a.count > 1 ? n / (n - 1) : 1;
  for (int64_t c = 0; c < args.operands[0].shape.elems(); ++c) {
    const double mean = In<T>(args, 2)[c];
    const double variance = In<T>(args, 3)[c] * unbias;
    Store(Out<T>(args, 0), c, (1 - a.momentum) * In<T>(args, 0)[c] + a.momentum * mean);
    Store(Out<T>(args, 1), c, (1 - a.momentum) * In<T>(args, 1)[c] + a.momentum * variance);
  }
}

PT_REFERENCE(Sgd) {
  const OptimizerAttrs& a = args.Attr<OptimizerAttrs>();
  const T* w = In<T>(args, 0);
  const T* g = In<T>(args, 1);
  if (!MayWrite<T>(args, 1)) return;
  KeepRest<T>(args);
  for (int64_t i = 0; i < args.operands[1].shape.elems(); ++i) {
    const int64_t p = PlaceOf<T>(args, 1, i);
    Store(Out<T>(args, 0), p, w[p] - LearningRate(args) * (g[i] + a.weight_decay * w[p]));
  }
}

// As torch.optim.SGD with dampening 0; the velocity starts at 0.
PT_REFERENCE(Momentum) {
  const OptimizerAttrs& a = args.Attr<OptimizerAttrs>();
  const T* w = In<T>(args, 0);
  const T* velocity = In<T>(args, 1);
  const T* g = In<T>(args, 2);
  if (!MayWrite<T>(args, 2)) return;
  KeepRest<T>(args);
  for (int64_t i = 0; i < args.operands[2].shape.elems(); ++i) {
    const int64_t p = PlaceOf<T>(args, 2, i);
    const double decayed = g[i] + a.weight_decay * w[p];
    const double v = a.momentum * velocity[i] + decayed;
    const double step = a.nesterov ? decayed + a.momentum * v : v;
    Store(Out<T>(args, 0), p, w[p] - LearningRate(args) * step);
    Store(Out<T>(args, 1), i, v);
  }
}

// Loshchilov and Hutter, 2019, algorithm 2, as torch.optim.AdamW has it.
PT_REFERENCE(AdamW) {
  const OptimizerAttrs& a = args.Attr<OptimizerAttrs>();
  const T* w = In<T>(args, 0);
  const T* mean = In<T>(args, 1);
  const T* square = In<T>(args, 2);
  const T* g = In<T>(args, 3);
  if (!MayWrite<T>(args, 3)) return;
  const double lr = LearningRate(args);
  const double mean_bias = 1 - std::pow(a.beta1, double(args.page->step));
  const double square_bias = 1 - std::pow(a.beta2, double(args.page->step));
  KeepRest<T>(args);
  for (int64_t i = 0; i < args.operands[3].shape.elems(); ++i) {
    const int64_t p = PlaceOf<T>(args, 3, i);
    const double m = a.beta1 * mean[i] + (1 - a.beta1) * g[i];
    const double v = a.beta2 * square[i] + (1 - a.beta2) * g[i] * g[i];
    const double step = (m / mean_bias) / (std::sqrt(v / square_bias) + a.eps);
    Store(Out<T>(args, 0), p, w[p] * (1 - lr * a.weight_decay) - lr * step);
    Store(Out<T>(args, 1), i, m);
    Store(Out<T>(args, 2), i, v);
  }
}

}  // namespace pocketune::reference
