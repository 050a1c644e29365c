// Softmax and log-softmax over the last dimension, and their gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/softmax.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// fn(a, b, y, width) for each row of operands 0 and 1 (if there is one) and result 0.
template <class Fn>
void ForEachRow(const KernelArgs& args, const Fn& fn) {
  const Shape& shape = args.results[0].shape;
  const int64_t width = shape.rank() == 0 ? 1 : shape[-1];
  const int64_t rows = width == 0 ? 0 : shape.elems() / width;
  const float* a = args.operands[0].as<float>();
  const float* b = args.operands.size() > 1 ? args.operands[1].as<float>() : a;
  float* y = args.results[0].as<float>();
  ParallelPieces(args.pool, rows, RowsPerItem(width), [&](int64_t row, int64_t end) HWY_ATTR {
    for (; row < end; ++row) fn(a + row * width, b + row * width, y + row * width, width);
  });
}

void RunSoftmax(const KernelArgs& args) {
  ForEachRow(args, [](const float* x, const float*, float* y, int64_t n) HWY_ATTR {
    const SoftmaxStats stats = StatsOf(x, n);
    const Splat max{stats.max};
    const Splat scale{static_cast<float>(1.0 / stats.sum)};
    Map(ScaledExp(), n, y, Array{x}, max, scale);
  });
}

void RunLogSoftmax(const KernelArgs& args) {
  ForEachRow(args, [](const float* x, const float*, float* y, int64_t n) HWY_ATTR {
    const SoftmaxStats stats = StatsOf(x, n);
    const Splat log_sum{static_cast<float>(std::log(stats.sum))};
    const auto f = [](F32, VF v, VF max, VF log) HWY_ATTR { return hn::Sub(hn::Sub(v, max), log); };
    Map(f, n, y, Array{x}, Splat{stats.max}, log_sum);
  });
}

void RunSoftmaxGrad(const KernelArgs& args) {
  ForEachRow(args, [](const float* dy, const float* y, float* dx, int64_t n) HWY_ATTR {
    const auto product = [](F32, VF a, VF b) HWY_ATTR { return hn::Mul(a, b); };
    const Splat dot{static_cast<float>(Fold<SumOf>(product, n, Array{dy}, Array{y}))};
    const auto f = [](F32, VF g, VF p, VF sum) HWY_ATTR { return hn::Mul(p, hn::Sub(g, sum)); };
    Map(f, n, dx, Array{dy}, Array{y}, dot);
  });
}

void RunLogSoftmaxGrad(const KernelArgs& args) {
  ForEachRow(args, [](const float* dy, const float* y, float* dx, int64_t n) HWY_ATTR {
    const Splat sum{static_cast<float>(Fold<SumOf>(Identity(), n, Array{dy}))};
    const auto f = [](F32 d, VF g, VF log_p, VF s)
                       HWY_ATTR { return hn::NegMulAdd(Exp()(d, log_p), s, g); };
    Map(f, n, dx, Array{dy}, Array{y}, sum);
  });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
PT_CPU_DISPATCH(Softmax)
PT_CPU_DISPATCH(LogSoftmax)
PT_CPU_DISPATCH(SoftmaxGrad)
PT_CPU_DISPATCH(LogSoftmaxGrad)
}  // namespace pocketune
#endif  // HWY_ONCE
