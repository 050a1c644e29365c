// Updates of parameters and states, in place or not. Nothing is written in a step with a fault, and
// a gradient or a statistic that is not finite is one.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/optimizer.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include <cmath>
#include <cstring>

#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/simd-inl.h"
#include "engine/ops/slice_index.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// 0 where x is finite, else NaN.
struct NanUnlessFinite {
  HWY_INLINE VF operator()(F32, VF x) const { return hn::Sub(x, x); }
};

// May the step write? Checks the operands from `first` on.
bool MayWrite(const KernelArgs& args, size_t first) {
  for (size_t i = first; i < args.operands.size() && !args.page->faulty(); ++i) {
    const float* x = args.operands[i].as<float>();
    ParallelPieces(args.pool, args.operands[i].shape.elems(), kItemElems,
                   [&](int64_t begin, int64_t end) HWY_ATTR {
                     const double sum =
                         Fold<SumOf>(NanUnlessFinite(), end - begin, Array{x + begin});
                     if (sum != 0.0) args.page->Raise(kFaultGradient);
                   });
  }
  return !args.page->faulty();
}

// Elements of a slice that are updated at once.
constexpr int64_t kSliceBlock = 256;

// As Update, of row `o` of the slices that the index picks.
template <int kValues, class F>
void UpdateRowOfSlices(const KernelArgs& args, const F& f, const SliceGeometry& g, int64_t o) {
  const float* index = args.operands[kValues + 1].as<float>();
  float* weights = args.results[0].as<float>() + o * g.slices * g.inner;
  const int64_t row = g.picked * g.inner;
  HWY_ALIGN float block[kSliceBlock];
  int64_t places[kSliceBlock];
  for (int64_t first = 0; first < row; first += kSliceBlock) {
    const int64_t n = std::min(kSliceBlock, row - first);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t k = (first + i) / g.inner;
      places[i] = SliceAt(double{index[k]}, g.slices) * g.inner + (first + i) % g.inner;
      block[i] = weights[places[i]];
    }
    const int64_t at = o * row + first;
    ForEachVector(n, [&](const auto& access, int64_t i) HWY_ATTR {
      VF values[kValues];
      values[0] = access.Load(block + i);
      for (int k = 1; k < kValues; ++k) {
        values[k] = access.Load(args.operands[k].as<float>() + at + i);
      }
      f(F32(), values, access.Load(args.operands[kValues].as<float>() + at + i));
      access.Store(values[0], block + i);
      for (int k = 1; k < kValues; ++k) {
        access.Store(values[k], args.results[k].as<float>() + at + i);
      }
    });
    for (int64_t i = 0; i < n; ++i) weights[places[i]] = block[i];
  }
}

// The rest of the parameter stays as it is. Rows are independent: no index can make two threads
// write the same element.
template <int kValues, class F>
void UpdateSlices(const KernelArgs& args, const F& f) {
  const TensorView& w = args.operands[0];
  const Shape& part = args.operands[kValues].shape;
  const int axis = IndexedAxis(w.shape, part);
  const SliceGeometry g = SlicesAlong(axis, w.shape, part[axis]);
  if (args.results[0].data != w.data) {
    std::memcpy(args.results[0].data, w.data, static_cast<size_t>(w.bytes()));
  }
  ParallelPieces(args.pool, g.outer, RowsPerItem(g.picked * g.inner),
                 [&](int64_t begin, int64_t end) HWY_ATTR {
                   for (int64_t o = begin; o < end; ++o) {
                     UpdateRowOfSlices<kValues>(args, f, g, o);
                   }
                 });
}

// One pass of f(d, values, gradient) over the first kValues operands, which it turns into the
// results, and the gradient, the operand after them; with an index, over the slices that it picks.
template <int kValues, class F>
void Update(const KernelArgs& args, const F& f) {
  if (!MayWrite(args, kValues)) return;
  if (args.operands.size() > kValues + 1) return UpdateSlices<kValues>(args, f);
  const float* gradient = args.operands[kValues].as<float>();
  const int64_t elems = args.operands[kValues].shape.elems();
  ParallelPieces(args.pool, elems, kItemElems, [&](int64_t begin, int64_t end) HWY_ATTR {
    ForEachVector(end - begin, [&](const auto& access, int64_t i) HWY_ATTR {
      VF values[kValues];
      for (int k = 0; k < kValues; ++k) {
        values[k] = access.Load(args.operands[k].as<float>() + begin + i);
      }
      f(F32(), values, access.Load(gradient + begin + i));
      for (int k = 0; k < kValues; ++k) {
        access.Store(values[k], args.results[k].as<float>() + begin + i);
      }
    });
  });
}

float LearningRate(const KernelArgs& args) {
  return static_cast<float>(args.page->learning_rate * args.Attr<OptimizerAttrs>().lr_scale);
}

struct SgdStep {
  float lr, decay;
  HWY_INLINE void operator()(F32 d, VF* values, VF g) const {
    const VF decayed = hn::MulAdd(values[0], hn::Set(d, decay), g);
    values[0] = hn::NegMulAdd(decayed, hn::Set(d, lr), values[0]);
  }
};

void RunSgd(const KernelArgs& args) {
  const auto& attrs = args.Attr<OptimizerAttrs>();
  Update<1>(args, SgdStep{LearningRate(args), static_cast<float>(attrs.weight_decay)});
}

// As torch.optim.SGD with dampening 0.
struct MomentumStep {
  float lr, decay, momentum;
  bool nesterov;
  HWY_INLINE void operator()(F32 d, VF* values, VF g) const {
    const VF mu = hn::Set(d, momentum);
    const VF decayed = hn::MulAdd(values[0], hn::Set(d, decay), g);
    values[1] = hn::MulAdd(values[1], mu, decayed);
    const VF step = nesterov ? hn::MulAdd(values[1], mu, decayed) : values[1];
    values[0] = hn::NegMulAdd(step, hn::Set(d, lr), values[0]);
  }
};

void RunMomentum(const KernelArgs& args) {
  const auto& attrs = args.Attr<OptimizerAttrs>();
  Update<2>(args, MomentumStep{LearningRate(args), static_cast<float>(attrs.weight_decay),
                               static_cast<float>(attrs.momentum), attrs.nesterov});
}

// Loshchilov and Hutter, 2019, algorithm 2, as torch.optim.AdamW has it. `rate` and `root` hold the
// bias corrections: lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t).
struct AdamWStep {
  float keep, rate, root, eps, beta1, rest1, beta2, rest2;
  HWY_INLINE void operator()(F32 d, VF* values, VF g) const {
    values[1] = hn::MulAdd(values[1], hn::Set(d, beta1), hn::Mul(g, hn::Set(d, rest1)));
    const VF squares = hn::Mul(hn::Mul(g, g), hn::Set(d, rest2));
    values[2] = hn::MulAdd(values[2], hn::Set(d, beta2), squares);
    const VF deviation = hn::MulAdd(hn::Sqrt(values[2]), hn::Set(d, root), hn::Set(d, eps));
    const VF step = hn::Div(hn::Mul(values[1], hn::Set(d, rate)), deviation);
    values[0] = hn::MulSub(values[0], hn::Set(d, keep), step);
  }
};

void RunAdamW(const KernelArgs& args) {
  const auto& a = args.Attr<OptimizerAttrs>();
  const double lr = args.page->learning_rate * a.lr_scale;
  const auto step = static_cast<double>(args.page->step);
  AdamWStep f;
  f.keep = static_cast<float>(1.0 - lr * a.weight_decay);
  f.rate = static_cast<float>(lr / (1.0 - std::pow(a.beta1, step)));
  f.root = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(a.beta2, step)));
  f.eps = static_cast<float>(a.eps);
  f.beta1 = static_cast<float>(a.beta1);
  f.rest1 = static_cast<float>(1.0 - a.beta1);
  f.beta2 = static_cast<float>(a.beta2);
  f.rest2 = static_cast<float>(1.0 - a.beta2);
  Update<3>(args, f);
}

// (1 - momentum) running + momentum factor batch
struct Blend {
  float keep, add;
  HWY_INLINE VF operator()(F32 d, VF running, VF batch) const {
    return hn::MulAdd(running, hn::Set(d, keep), hn::Mul(batch, hn::Set(d, add)));
  }
};

void RunBatchNormUpdate(const KernelArgs& args) {
  if (!MayWrite(args, 2)) return;
  const auto& attrs = args.Attr<NormUpdateAttrs>();
  const auto count = static_cast<double>(attrs.count);
  const double unbiased = attrs.count > 1 ? count / (count - 1.0) : 1.0;
  const auto keep = static_cast<float>(1.0 - attrs.momentum);
  for (size_t i = 0; i < 2; ++i) {
    const double add = attrs.momentum * (i == 0 ? 1.0 : unbiased);
    Map(Blend{keep, static_cast<float>(add)}, args.results[i].shape.elems(),
        args.results[i].as<float>(), Array{args.operands[i].as<float>()},
        Array{args.operands[i + 2].as<float>()});
  }
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
PT_CPU_DISPATCH(Sgd)
PT_CPU_DISPATCH(Momentum)
PT_CPU_DISPATCH(AdamW)
PT_CPU_DISPATCH(BatchNormUpdate)
}  // namespace pocketune
#endif  // HWY_ONCE
