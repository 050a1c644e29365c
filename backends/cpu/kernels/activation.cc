// Activations and their gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/activation.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.
struct Softplus {
  HWY_INLINE VF operator()(F32 d, VF x) const {
    const VF e = Exp()(d, hn::Neg(hn::Abs(x)));
    return hn::Add(Relu()(d, x), hn::Log1p(d, e));
  }
};
struct ClampOp {
  float lo, hi;
  HWY_INLINE VF operator()(F32 d, VF x) const { return ClampTo(d, x, lo, hi); }
};

// Gradients take dy first, then the input or the result of the activation.
struct ReluGrad {
  HWY_INLINE VF operator()(F32 d, VF dy, VF y) const {
    return PassWhere(hn::Gt(y, hn::Zero(d)), dy);
  }
};
struct Relu6Grad {
  HWY_INLINE VF operator()(F32 d, VF dy, VF y) const {
    const auto passes = hn::And(hn::Gt(y, hn::Zero(d)), hn::Lt(y, hn::Set(d, 6.0f)));
    return PassWhere(passes, dy);
  }
};
// The slope is 0 below -3, 1 above 3 and (2x + 3) / 6 between.
struct HardSwishGrad {
  HWY_INLINE VF operator()(F32 d, VF dy, VF x) const {
    const VF three = hn::Set(d, 3.0f);
    const VF slope = hn::MulAdd(x, hn::Set(d, 1.0f / 3.0f), hn::Set(d, 0.5f));
    const VF inner = hn::IfThenElse(hn::Lt(x, three), slope, hn::Set(d, 1.0f));
    return hn::Mul(dy, hn::IfThenElseZero(hn::Gt(x, hn::Neg(three)), inner));
  }
};
struct HardSigmoidGrad {
  HWY_INLINE VF operator()(F32 d, VF dy, VF x) const {
    const auto passes = hn::Lt(hn::Abs(x), hn::Set(d, 3.0f));
    return hn::IfThenElseZero(passes, hn::Mul(dy, hn::Set(d, 1.0f / 6.0f)));
  }
};
struct SiluGrad {
  HWY_INLINE VF operator()(F32 d, VF dy, VF x) const {
    const VF one = hn::Set(d, 1.0f);
    const VF s = Sigmoid()(d, x);
    return hn::Mul(dy, hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one)));
  }
};
struct SigmoidGrad {
  HWY_INLINE VF operator()(F32 d, VF dy, VF y) const {
    return hn::Mul(dy, hn::Mul(y, hn::Sub(hn::Set(d, 1.0f), y)));
  }
};
struct TanhGrad {
  HWY_INLINE VF operator()(F32 d, VF dy, VF y) const {
    return hn::Mul(dy, hn::NegMulAdd(y, y, hn::Set(d, 1.0f)));
  }
};
struct ClampGradOp {
  float lo, hi;
  HWY_INLINE VF operator()(F32 d, VF dy, VF x) const {
    const auto passes = hn::And(hn::Ge(x, hn::Set(d, lo)), hn::Le(x, hn::Set(d, hi)));
    return PassWhere(passes, dy);
  }
};

template <class F>
void RunWithBounds(const KernelArgs& args) {
  const auto& attrs = args.Attr<ClampAttrs>();
  RunMap(args, F{static_cast<float>(attrs.lo), static_cast<float>(attrs.hi)});
}

void RunRelu(const KernelArgs& args) { RunMap(args, Relu()); }
void RunRelu6(const KernelArgs& args) { RunMap(args, Relu6()); }
void RunHardSwish(const KernelArgs& args) { RunMap(args, HardSwish()); }
void RunHardSigmoid(const KernelArgs& args) { RunMap(args, HardSigmoid()); }
void RunSilu(const KernelArgs& args) { RunMap(args, Silu()); }
void RunSigmoid(const KernelArgs& args) { RunMap(args, Sigmoid()); }
void RunTanh(const KernelArgs& args) { RunMap(args, Tanh()); }
void RunSoftplus(const KernelArgs& args) { RunMap(args, Softplus()); }
void RunClamp(const KernelArgs& args) { RunWithBounds<ClampOp>(args); }
void RunReluGrad(const KernelArgs& args) { RunMap(args, ReluGrad()); }
void RunRelu6Grad(const KernelArgs& args) { RunMap(args, Relu6Grad()); }
void RunHardSwishGrad(const KernelArgs& args) { RunMap(args, HardSwishGrad()); }
void RunHardSigmoidGrad(const KernelArgs& args) { RunMap(args, HardSigmoidGrad()); }
void RunSiluGrad(const KernelArgs& args) { RunMap(args, SiluGrad()); }
void RunSigmoidGrad(const KernelArgs& args) { RunMap(args, SigmoidGrad()); }
void RunTanhGrad(const KernelArgs& args) { RunMap(args, TanhGrad()); }
void RunClampGrad(const KernelArgs& args) { RunWithBounds<ClampGradOp>(args); }

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
PT_CPU_DISPATCH(Relu)
PT_CPU_DISPATCH(Relu6)
PT_CPU_DISPATCH(HardSwish)
PT_CPU_DISPATCH(HardSigmoid)
PT_CPU_DISPATCH(Silu)
PT_CPU_DISPATCH(Sigmoid)
PT_CPU_DISPATCH(Tanh)
PT_CPU_DISPATCH(Softplus)
PT_CPU_DISPATCH(Clamp)
PT_CPU_DISPATCH(ReluGrad)
PT_CPU_DISPATCH(Relu6Grad)
PT_CPU_DISPATCH(HardSwishGrad)
PT_CPU_DISPATCH(HardSigmoidGrad)
PT_CPU_DISPATCH(SiluGrad)
PT_CPU_DISPATCH(SigmoidGrad)
PT_CPU_DISPATCH(TanhGrad)
PT_CPU_DISPATCH(ClampGrad)
}  // namespace pocketune
#endif  // HWY_ONCE
