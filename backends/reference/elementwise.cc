// Activations, arithmetic and dropout.
#include "backends/reference/reference_ops.h"
#include "engine/base/rng.h"

namespace pocketune::reference {
namespace {

// y[i] = fn(x[i]).
template <typename T, class Fn>
void Map(const KernelArgs& args, const Fn& fn) {
  const T* x = In<T>(args, 0);
  T* y = Out<T>(args, 0);
  for (int64_t i = 0; i < args.results[0].shape.elems(); ++i) y[i] = static_cast<T>(fn(x[i]));
}

// dx[i] = fn(dy[i], saved[i]), where saved is the op's x or y.
template <typename T, class Fn>
void MapGrad(const KernelArgs& args, const Fn& fn) {
  const T* dy = In<T>(args, 0);
  const T* saved = In<T>(args, 1);
  T* dx = Out<T>(args, 0);
  for (int64_t i = 0; i < args.results[0].shape.elems(); ++i) {
    dx[i] = static_cast<T>(fn(double{dy[i]}, double{saved[i]}));
  }
}

// y = fn(a, b), both broadcast to y.
template <typename T, class Fn>
void Combine(const KernelArgs& args, const Fn& fn) {
  const Shape& shape = args.results[0].shape;
  const Index a_strides = BroadcastStrides(args.operands[0].shape, shape);
  const Index b_strides = BroadcastStrides(args.operands[1].shape, shape);
  const T* a = In<T>(args, 0);
  const T* b = In<T>(args, 1);
  T* y = Out<T>(args, 0);
  for (int64_t i = 0; i < shape.elems(); ++i) {
    const Index at = Coordinates(shape, i);
    y[i] = static_cast<T>(fn(double{a[Dot(at, a_strides)]}, double{b[Dot(at, b_strides)]}));
  }
}

template <typename T>
void MapAct(const KernelArgs& args, Act act) {
  Map<T>(args, [act](double x) { return Activate(act, x); });
}

}  // namespace

PT_REFERENCE(Relu) { MapAct<T>(args, Act::kRelu); }
PT_REFERENCE(Relu6) { MapAct<T>(args, Act::kRelu6); }
PT_REFERENCE(HardSwish) { MapAct<T>(args, Act::kHardSwish); }
PT_REFERENCE(HardSigmoid) { MapAct<T>(args, Act::kHardSigmoid); }
PT_REFERENCE(Silu) { MapAct<T>(args, Act::kSilu); }
PT_REFERENCE(Sigmoid) { MapAct<T>(args, Act::kSigmoid); }
PT_REFERENCE(Tanh) { MapAct<T>(args, Act::kTanh); }
PT_REFERENCE(Softplus) {
  Map<T>(args, [](double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); });
}
PT_REFERENCE(Clamp) {
  const ClampAttrs& a = args.Attr<ClampAttrs>();
  Map<T>(args, [&a](double x) { return Clip(x, a.lo, a.hi); });
}

PT_REFERENCE(ReluGrad) {
  MapGrad<T>(args, [](double dy, double y) { return y > 0 ? dy : 0; });
}
PT_REFERENCE(Relu6Grad) {
  MapGrad<T>(args, [](double dy, double y) { return y > 0 && y < 6 ? dy : 0; });
}
PT_REFERENCE(HardSwishGrad) {
  MapGrad<T>(args, [](double dy, double x) {
    if (x <= -3) return 0.0;
    return x < 3 ? dy * (2 * x + 3) / 6 : dy;
  });
}
PT_REFERENCE(HardSigmoidGrad) {
  MapGrad<T>(args, [](double dy, double x) { return x > -3 && x < 3 ? dy / 6 : 0; });
}
PT_REFERENCE(SiluGrad) {
  MapGrad<T>(args, [](double dy, double x) {
    const double s = Sigmoid(x);
    return dy * s * (1 + x * (1 - s));
  });
}
PT_REFERENCE(SigmoidGrad) {
  MapGrad<T>(args, [](double dy, double y) { return dy * y * (1 - y); });
}
PT_REFERENCE(TanhGrad) {
  MapGrad<T>(args, [](double dy, double y) { return dy * (1 - y * y); });
}
PT_REFERENCE(ClampGrad) {
  const ClampAttrs& a = args.Attr<ClampAttrs>();
  MapGrad<T>(args, [&a](double dy, double x) { return x >= a.lo && x <= a.hi ? dy : 0; });
}

PT_REFERENCE(GateMask) {
  const GateAttrs& a = args.Attr<GateAttrs>();
  const T* x = In<T>(args, 0);
  uint8_t* mask = Out<uint8_t>(args, 0);
  std::fill_n(mask, args.results[0].shape.elems(), uint8_t{0});
  for (int64_t i = 0; i < args.operands[0].shape.elems(); ++i) {
    const double v = double{x[i]};
    const bool passes =
        a.act == Act::kNone ? v >= a.lo && v <= a.hi : v > 0 && (a.act == Act::kRelu || v < 6);
    if (passes) mask[i / 8] = static_cast<uint8_t>(mask[i / 8] | 1u << i % 8);
  }
}
PT_REFERENCE(GateGrad) {
  const T* dy = In<T>(args, 0);
  const uint8_t* mask = In<uint8_t>(args, 1);
  T* dx = Out<T>(args, 0);
  for (int64_t i = 0; i < args.results[0].shape.elems(); ++i) {
    dx[i] = (mask[i / 8] >> i % 8 & 1) != 0 ? dy[i] : T{0};
  }
}

PT_REFERENCE(Add) {
  Combine<T>(args, [](double a, double b) { return a + b; });
}
PT_REFERENCE(Sub) {
  Combine<T>(args, [](double a, double b) { return a - b; });
}
PT_REFERENCE(Mul) {
  Combine<T>(args, [](double a, double b) { return a * b; });
}
PT_REFERENCE(Div) {
  Combine<T>(args, [](double a, double b) { return a / b; });
}

PT_REFERENCE(Exp) {
  Map<T>(args, [](double x) { return std::exp(x); });
}
PT_REFERENCE(Log) {
  Map<T>(args, [](double x) { return std::log(x); });
}
PT_REFERENCE(Sqrt) {
  Map<T>(args, [](double x) { return std::sqrt(x); });
}
PT_REFERENCE(Affine) {
  const AffineAttrs& a = args.Attr<AffineAttrs>();
  Map<T>(args, [&a](double x) { return a.factor * x + a.offset; });
}

PT_REFERENCE(Dropout) {
  const DropoutAttrs& a = args.Attr<DropoutAttrs>();
  const RandomStream random(args.page->seed, DropoutStream(a.salt, args.page->step));
  const T* x = In<T>(args, 0);
  T* y = Out<T>(args, 0);
  for (int64_t i = 0; i < args.results[0].shape.elems(); ++i) {
    const bool kept = double{random.Uniform(uint64_t(i))} >= a.rate;
    y[i] = static_cast<T>(kept ? x[i] / (1 - a.rate) : 0.0);
  }
}

}  // namespace pocketune::reference
