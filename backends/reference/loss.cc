// Losses: the mean over samples with the samples' weights; 0 where all weights are 0.
#include "backends/reference/reference_ops.h"

namespace pocketune::reference {
namespace {

template <typename T>
double Sum(const T* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}

// False, and a fault, for a label that is no class.
bool ValidLabel(const KernelArgs& args, int32_t label, int64_t classes) {
  if (label >= 0 && label < classes) return true;
  args.page->Raise(kFaultLabel);
  return false;
}

template <typename T>
void StoreLoss(const KernelArgs& args, double sum, double weights) {
  const double loss = weights == 0 ? 0 : sum / weights;
  if (!std::isfinite(loss)) args.page->Raise(kFaultLoss);
  Out<T>(args, 0)[0] = static_cast<T>(loss);
}

}  // namespace

// -(1 - s) log p[label] - s mean(log p), s = label_smoothing (Szegedy et al., 2016, section 7).
PT_REFERENCE(SoftmaxCrossEntropy) {
  const double smoothing = args.Attr<LossAttrs>().label_smoothing;
  const Shape& shape = args.operands[0].shape;  // [N,K]
  const int64_t classes = shape[1];
  const int32_t* labels = In<int32_t>(args, 1);  // [N]
  const T* weight = In<T>(args, 2);              // [N]
  double total = 0;
  for (int64_t n = 0; n < shape[0]; ++n) {
    if (weight[n] == 0 || !ValidLabel(args, labels[n], classes)) continue;
    const T* x = In<T>(args, 0) + n * classes;
    const double log_sum = LogSumExp(x, classes);
    const double mean = Sum(x, classes) / double(classes);
    const double loss = (1 - smoothing) * (log_sum - x[labels[n]]) + smoothing * (log_sum - mean);
    total += weight[n] * loss;
  }
  StoreLoss<T>(args, total, Sum(weight, shape[0]));
}

PT_REFERENCE(SoftmaxCrossEntropyGrad) {
  const double smoothing = args.Attr<LossAttrs>().label_smoothing;
  const Shape& shape = args.operands[1].shape;  // [N,K]
  const int64_t classes = shape[1];
  const double dloss = *In<T>(args, 0);
  const int32_t* labels = In<int32_t>(args, 2);  // [N]
  const T* weight = In<T>(args, 3);              // [N]
  const double weights = Sum(weight, shape[0]);
  for (int64_t n = 0; n < shape[0]; ++n) {
    const T* x = In<T>(args, 1) + n * classes;
    T* dx = Out<T>(args, 0) + n * classes;
    const bool counts = weight[n] != 0 && ValidLabel(args, labels[n], classes);
    const double log_sum = counts ? LogSumExp(x, classes) : 0;
    for (int64_t k = 0; k < classes; ++k) {
      const double target = (k == labels[n] ? 1 - smoothing : 0) + smoothing / double(classes);
      const double slope = counts ? std::exp(x[k] - log_sum) - target : 0;
      dx[k] = static_cast<T>(counts ? dloss * weight[n] / weights * slope : 0);
    }
  }
}

PT_REFERENCE(MeanSquaredError) {
  const Shape& shape = args.operands[0].shape;  // [N,..]
  const int64_t width = shape.elems() / shape[0];
  const T* prediction = In<T>(args, 0);
  const T* target = In<T>(args, 1);
  const T* weight = In<T>(args, 2);  // [N]
  double total = 0;
  for (int64_t n = 0; n < shape[0]; ++n) {
    if (weight[n] == 0) continue;
    double sum = 0;
    for (int64_t i = n * width; i < (n + 1) * width; ++i) {
      const double d = double{prediction[i]} - double{target[i]};
      sum += d * d;
    }
    total += weight[n] * sum / double(width);
  }
  StoreLoss<T>(args, total, Sum(weight, shape[0]));
}

PT_REFERENCE(MeanSquaredErrorGrad) {
  const Shape& shape = args.operands[1].shape;  // [N,..]
  const int64_t width = shape.elems() / shape[0];
  const double dloss = *In<T>(args, 0);
  const T* prediction = In<T>(args, 1);
  const T* target = In<T>(args, 2);
  const T* weight = In<T>(args, 3);  // [N]
  const double weights = Sum(weight, shape[0]);
  for (int64_t i = 0; i < shape.elems(); ++i) {
    const double w = weight[i / width];
    const double d = double{prediction[i]} - double{target[i]};
    Out<T>(args, 0)[i] = static_cast<T>(w == 0 ? 0 : dloss * w / weights * 2 * d / double(width));
  }
}

}  // namespace pocketune::reference
