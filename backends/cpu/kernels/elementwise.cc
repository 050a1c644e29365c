// Arithmetic with NumPy broadcasting, and unary functions.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/elementwise.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/kernels/strided.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

struct AddOp {
  HWY_INLINE VF operator()(F32, VF a, VF b) const { return hn::Add(a, b); }
};
struct SubOp {
  HWY_INLINE VF operator()(F32, VF a, VF b) const { return hn::Sub(a, b); }
};
struct MulOp {
  HWY_INLINE VF operator()(F32, VF a, VF b) const { return hn::Mul(a, b); }
};
struct DivOp {
  HWY_INLINE VF operator()(F32, VF a, VF b) const { return hn::Div(a, b); }
};
struct SqrtOp {
  HWY_INLINE VF operator()(F32, VF x) const { return hn::Sqrt(x); }
};
struct AffineOp {
  float factor, offset;
  HWY_INLINE VF operator()(F32 d, VF x) const {
    return hn::MulAdd(hn::Set(d, factor), x, hn::Set(d, offset));
  }
};

// One run of the innermost loop: each operand is either a dense array or one value.
template <class F>
HWY_INLINE void BinaryRun(const F& f, int64_t n, float* y, const float* a, bool a_dense,
                          const float* b, bool b_dense) {
  if (a_dense && b_dense) return Map(f, n, y, Array{a}, Array{b});
  if (a_dense) return Map(f, n, y, Array{a}, Splat{*b});
  if (b_dense) return Map(f, n, y, Splat{*a}, Array{b});
  Map(f, n, y, Splat{*a}, Splat{*b});
}

// Equal shapes and scalars collapse to a single run, a last-dimension vector to one run per row,
// [N,1,1,C] to one run per pixel.
template <class F>
void RunBinary(const KernelArgs& args, const F& f) {
  const Shape& shape = args.results[0].shape;
  const Strides a_strides(args.operands[0].shape, shape.rank());
  const Strides b_strides(args.operands[1].shape, shape.rank());
  LoopNest<2> outer;
  for (int i = 0; i < shape.rank(); ++i) outer.Push(shape[i], {a_strides[i], b_strides[i]});
  int64_t step[2];
  const int64_t inner = outer.Pop(step);
  const int64_t runs = outer.Steps();
  const float* a = args.operands[0].as<float>();
  const float* b = args.operands[1].as<float>();
  float* y = args.results[0].as<float>();
  // A long run is cut into pieces, short runs are bundled.
  const int64_t pieces = CeilDiv(inner, kItemElems);
  ParallelPieces(args.pool, runs * pieces, RowsPerItem(inner),
                 [&](int64_t begin, int64_t end) HWY_ATTR {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t run = i / pieces;
                     const int64_t at = i % pieces * kItemElems;
                     BinaryRun(f, std::min(kItemElems, inner - at), y + run * inner + at,
                               a + outer.Offset(run, 0) + at * step[0], step[0] != 0,
                               b + outer.Offset(run, 1) + at * step[1], step[1] != 0);
                   }
                 });
}

void RunAdd(const KernelArgs& args) { RunBinary(args, AddOp()); }
void RunSub(const KernelArgs& args) { RunBinary(args, SubOp()); }
void RunMul(const KernelArgs& args) { RunBinary(args, MulOp()); }
void RunDiv(const KernelArgs& args) { RunBinary(args, DivOp()); }
void RunExp(const KernelArgs& args) { RunMap(args, Exp()); }
void RunLog(const KernelArgs& args) { RunMap(args, Log()); }
void RunSqrt(const KernelArgs& args) { RunMap(args, SqrtOp()); }
void RunAffine(const KernelArgs& args) {
  const auto& attrs = args.Attr<AffineAttrs>();
  RunMap(args, AffineOp{static_cast<float>(attrs.factor), static_cast<float>(attrs.offset)});
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
PT_CPU_DISPATCH(Add)
PT_CPU_DISPATCH(Sub)
PT_CPU_DISPATCH(Mul)
PT_CPU_DISPATCH(Div)
PT_CPU_DISPATCH(Exp)
PT_CPU_DISPATCH(Log)
PT_CPU_DISPATCH(Sqrt)
PT_CPU_DISPATCH(Affine)
}  // namespace pocketune
#endif  // HWY_ONCE
