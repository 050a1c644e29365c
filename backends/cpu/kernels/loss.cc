// Losses: the mean over samples with the samples' weights. A sample of weight 0 is padding, whose
// values are not read.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/loss.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

double SumOfWeights(const TensorView& weight) {
  double sum = 0.0;
  for (int64_t n = 0; n < weight.shape.elems(); ++n) sum += double{weight.as<float>()[n]};
  return sum;
}

// The mean from the samples' parts: parts[n][count] are added in order.
void StoreLoss(const KernelArgs& args, const double* parts, int64_t count) {
  const float* weight = args.operands[2].as<float>();
  const int64_t samples = args.operands[2].shape.elems();
  double total = 0.0;
  for (int64_t n = 0; n < samples; ++n) {
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) sum += parts[n * count + i];
    if (weight[n] != 0.0f) total += weight[n] * sum;
  }
  const double weights = SumOfWeights(args.operands[2]);
  const auto loss = static_cast<float>(weights == 0.0 ? 0.0 : total / weights);
  if (!std::isfinite(loss)) args.page->Raise(kFaultLoss);
  *args.results[0].as<float>() = loss;
}

// Does the sample count? Raises a fault for a label that is no class.
bool Counts(const KernelArgs& args, float weight, int32_t label, int64_t classes) {
  if (weight == 0.0f) return false;
  if (label >= 0 && label < classes) return true;
  args.page->Raise(kFaultLabel);
  return false;
}

// (1 - s) (log_sum - x[label]) + s (log_sum - mean(x)), s = label_smoothing.
void RunSoftmaxCrossEntropy(const KernelArgs& args) {
  const double smoothing = args.Attr<LossAttrs>().label_smoothing;
  const Shape& shape = args.operands[0].shape;  // [N,K]
  const int64_t classes = shape[1];
  const float* logits = args.operands[0].as<float>();
  const int32_t* labels = args.operands[1].as<int32_t>();
  const float* weight = args.operands[2].as<float>();
  double* losses = static_cast<double*>(args.scratch);
  ParallelPieces(args.pool, shape[0], RowsPerItem(classes), [&](int64_t n, int64_t end) HWY_ATTR {
    for (; n < end; ++n) {
      losses[n] = 0.0;
      if (!Counts(args, weight[n], labels[n], classes)) continue;
      const float* x = logits + n * classes;
      const SoftmaxStats stats = StatsOf(x, classes);
      const double log_sum = stats.max + std::log(stats.sum);
      losses[n] = (1.0 - smoothing) * (log_sum - x[labels[n]]);
      if (smoothing != 0.0) {
        const double sum = Fold<SumOf>(Identity(), classes, Array{x});
        losses[n] += smoothing * (log_sum - sum / static_cast<double>(classes));
      }
    }
  });
  StoreLoss(args, losses, 1);
}

// dloss weight / sum(weights) (softmax(x) - target), target = s / K + (1 - s) at the label.
void RunSoftmaxCrossEntropyGrad(const KernelArgs& args) {
  const double smoothing = args.Attr<LossAttrs>().label_smoothing;
  const Shape& shape = args.operands[1].shape;  // [N,K]
  const int64_t classes = shape[1];
  const double dloss = *args.operands[0].as<float>() / SumOfWeights(args.operands[3]);
  const float* logits = args.operands[1].as<float>();
  const int32_t* labels = args.operands[2].as<int32_t>();
  const float* weight = args.operands[3].as<float>();
  float* dlogits = args.results[0].as<float>();
  const auto f = [](F32 d, VF x, VF max, VF scale, VF smooth)
                     HWY_ATTR { return hn::Sub(ScaledExp()(d, x, max, scale), smooth); };
  ParallelPieces(args.pool, shape[0], RowsPerItem(classes), [&](int64_t n, int64_t end) HWY_ATTR {
    for (; n < end; ++n) {
      const float* x = logits + n * classes;
      float* dx = dlogits + n * classes;
      if (!Counts(args, weight[n], labels[n], classes)) {
        std::fill_n(dx, classes, 0.0f);
        continue;
      }
      const SoftmaxStats stats = StatsOf(x, classes);
      const double factor = dloss * weight[n];
      const Splat scale{static_cast<float>(factor / stats.sum)};
      const Splat smooth{static_cast<float>(factor * smoothing / static_cast<double>(classes))};
      Map(f, classes, dx, Array{x}, Splat{stats.max}, scale, smooth);
      dx[labels[n]] -= static_cast<float>(factor * (1.0 - smoothing));
    }
  });
}

struct SquaredDifference {
  HWY_INLINE VF operator()(F32, VF a, VF b) const {
    const VF difference = hn::Sub(a, b);
    return hn::Mul(difference, difference);
  }
};

// Runs fn(sample, part, at, n) for parts of n <= kItemElems elements from `at` on of samples of
// `width` elements; parts are counted over all samples.
template <class Fn>
void ParallelSampleParts(const KernelArgs& args, int64_t samples, int64_t width, const Fn& fn) {
  const int64_t parts = CeilDiv(width, kItemElems);
  ParallelPieces(args.pool, samples * parts, RowsPerItem(width), [&](int64_t i, int64_t end) {
    for (; i < end; ++i) {
      const int64_t begin = i % parts * kItemElems;
      fn(i / parts, i, i / parts * width + begin, std::min(kItemElems, width - begin));
    }
  });
}

void RunMeanSquaredError(const KernelArgs& args) {
  const int64_t samples = args.operands[2].shape.elems();
  const int64_t width = args.operands[0].shape.elems() / samples;
  const float* prediction = args.operands[0].as<float>();
  const float* target = args.operands[1].as<float>();
  const float* weight = args.operands[2].as<float>();
  double* sums = static_cast<double*>(args.scratch);
  ParallelSampleParts(
      args, samples, width, [&](int64_t sample, int64_t part, int64_t at, int64_t n) HWY_ATTR {
        sums[part] = 0.0;
        if (weight[sample] == 0.0f) return;
        const double sum =
            Fold<SumOf>(SquaredDifference(), n, Array{prediction + at}, Array{target + at});
        sums[part] = sum / static_cast<double>(width);
      });
  StoreLoss(args, sums, CeilDiv(width, kItemElems));
}

void RunMeanSquaredErrorGrad(const KernelArgs& args) {
  const int64_t samples = args.operands[3].shape.elems();
  const int64_t width = args.operands[1].shape.elems() / samples;
  const double dloss = *args.operands[0].as<float>() / SumOfWeights(args.operands[3]);
  const float* prediction = args.operands[1].as<float>();
  const float* target = args.operands[2].as<float>();
  const float* weight = args.operands[3].as<float>();
  float* dprediction = args.results[0].as<float>();
  const auto f = [](F32, VF a, VF b, VF slope) HWY_ATTR { return hn::Mul(hn::Sub(a, b), slope); };
  ParallelSampleParts(
      args, samples, width, [&](int64_t sample, int64_t, int64_t at, int64_t n) HWY_ATTR {
        if (weight[sample] == 0.0f) {
          std::fill_n(dprediction + at, n, 0.0f);
          return;
        }
        const double slope = 2.0 * dloss * weight[sample] / static_cast<double>(width);
        Map(f, n, dprediction + at, Array{prediction + at}, Array{target + at},
            Splat{static_cast<float>(slope)});
      });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {

int64_t ScratchSoftmaxCrossEntropy(const KernelQuery& query) {
  return query.operands[2].shape.elems() * int64_t{sizeof(double)};
}
int64_t ScratchMeanSquaredError(const KernelQuery& query) {
  const int64_t samples = query.operands[2].shape.elems();
  const int64_t width = query.operands[0].shape.elems() / samples;
  return samples * CeilDiv(width, HWY_STATIC_DISPATCH(kItemElems)) * int64_t{sizeof(double)};
}

PT_CPU_DISPATCH(SoftmaxCrossEntropy)
PT_CPU_DISPATCH(SoftmaxCrossEntropyGrad)
PT_CPU_DISPATCH(MeanSquaredError)
PT_CPU_DISPATCH(MeanSquaredErrorGrad)
}  // namespace pocketune
#endif  // HWY_ONCE
