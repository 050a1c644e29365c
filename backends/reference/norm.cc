// Batch normalization (Ioffe and Szegedy, 2015) over all but the last dimension: x [rows, C].
#include "backends/reference/reference_ops.h"

namespace pocketune::reference {
namespace {

struct Extent {
  int64_t rows;
  int64_t channels;
};

Extent ExtentOf(const TensorView& x) {
  const int64_t channels = x.shape[-1];
  return {x.shape.elems() / channels, channels};
}

double InverseDeviation(double variance, double eps) { return 1.0 / std::sqrt(variance + eps); }
double InverseDeviation(double variance, const KernelArgs& args) {
  return InverseDeviation(variance, args.Attr<NormAttrs>().eps);
}

// dy where relu or relu6 let the normalized value through, else 0.
double ThroughAct(Act act, double value, double dy) {
  if (act == Act::kNone) return dy;
  return value > 0 && (act == Act::kRelu || value < 6) ? dy : 0;
}

// The gradient of a normalization by the batch and of its activation. Operands dy, x, scale, mean,
// var; with an activation the shift is operand `shift_at`.
template <typename T>
class NormGradient {
 public:
  NormGradient(const KernelArgs& args, double eps, Act act, size_t shift_at)
      : dy_(In<T>(args, 0)),
        x_(In<T>(args, 1)),
        scale_(In<T>(args, 2)),
        mean_(In<T>(args, 3)),
        variance_(In<T>(args, 4)),
        shift_(act == Act::kNone ? nullptr : In<T>(args, shift_at)),
        eps_(eps),
        act_(act) {}

  std::pair<double, double> OfParams(int64_t rows, int64_t channels, int64_t c) const {
    double dscale = 0, dshift = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const double g = Through(r * channels + c, c);
      dshift += g;
      dscale += g * Normalized(r * channels + c, c);
    }
    return {dscale, dshift};
  }

  void OfInput(int64_t rows, int64_t channels, int64_t c, double dscale, double dshift,
               double count, T* dx) const {
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t at = r * channels + c;
      const double through_statistics = (dshift + Normalized(at, c) * dscale) / count;
      Store(dx, at, scale_[c] * Inverse(c) * (Through(at, c) - through_statistics));
    }
  }

 private:
  double Inverse(int64_t c) const { return InverseDeviation(variance_[c], eps_); }
  double Normalized(int64_t at, int64_t c) const {
    return (double{x_[at]} - mean_[c]) * Inverse(c);
  }
  double Through(int64_t at, int64_t c) const {
    const double shift = shift_ == nullptr ? 0.0 : double{shift_[c]};
    const double value = (x_[at] - double{mean_[c]}) * (scale_[c] * Inverse(c)) + shift;
    return ThroughAct(act_, static_cast<T>(value), dy_[at]);
  }

  const T* dy_;
  const T* x_;
  const T* scale_;
  const T* mean_;
  const T* variance_;
  const T* shift_;
  double eps_;
  Act act_;
};

}  // namespace

PT_REFERENCE(BatchNorm) {
  const auto [rows, channels] = ExtentOf(args.operands[0]);
  const T* x = In<T>(args, 0);
  const T* scale = In<T>(args, 1);
  const T* shift = In<T>(args, 2);
  T* y = Out<T>(args, 0);
  for (int64_t c = 0; c < channels; ++c) {
    double mean = 0;
    for (int64_t r = 0; r < rows; ++r) mean += x[r * channels + c];
    mean /= double(rows);
    double variance = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const double d = x[r * channels + c] - mean;
      variance += d * d;
    }
    variance /= double(rows);
    // Rounded as handed on: batch_norm_frozen with these gives the same bits.
    mean = static_cast<T>(mean);
    variance = static_cast<T>(variance);
    const double factor = scale[c] * InverseDeviation(variance, args);
    for (int64_t r = 0; r < rows; ++r) {
      const double value = (double{x[r * channels + c]} - mean) * factor + shift[c];
      Store(y, r * channels + c, Activate(args.Attr<NormAttrs>().act, value));
    }
    Store(Out<T>(args, 1), c, mean);
    Store(Out<T>(args, 2), c, variance);
  }
}

PT_REFERENCE(BatchNormFrozen) {
  const auto [rows, channels] = ExtentOf(args.operands[0]);
  const T* x = In<T>(args, 0);
  const T* scale = In<T>(args, 1);
  const T* shift = In<T>(args, 2);
  const T* mean = In<T>(args, 3);
  const T* variance = In<T>(args, 4);
  T* y = Out<T>(args, 0);
  for (int64_t c = 0; c < channels; ++c) {
    const double factor = scale[c] * InverseDeviation(variance[c], args);
    for (int64_t r = 0; r < rows; ++r) {
      const double value = (double{x[r * channels + c]} - mean[c]) * factor + shift[c];
      y[r * channels + c] = static_cast<T>(Activate(args.Attr<NormAttrs>().act, value));
    }
  }
}

PT_REFERENCE(BatchNormGrad) {
  const auto [rows, channels] = ExtentOf(args.operands[0]);
  const NormGradient<T> gradient(args, args.Attr<NormAttrs>().eps, args.Attr<NormAttrs>().act, 5);
  for (int64_t c = 0; c < channels; ++c) {
    const auto [dscale, dshift] = gradient.OfParams(rows, channels, c);
    gradient.OfInput(rows, channels, c, dscale, dshift, double(rows), Out<T>(args, 0));
    Store(Out<T>(args, 1), c, dscale);
    Store(Out<T>(args, 2), c, dshift);
  }
}

PT_REFERENCE(BatchNormMoments) {
  const TensorView& view = args.operands[0];
  const int64_t samples = view.shape[0], channels = view.shape[-1];
  const int64_t rows = view.shape.elems() / (samples * channels);
  for (int64_t n = 0; n < samples; ++n) {
    const T* x = In<T>(args, 0) + n * rows * channels;
    T* moments = Out<T>(args, 0) + n * 2 * channels;
    for (int64_t c = 0; c < channels; ++c) {
      double mean = 0, squares = 0;
      for (int64_t r = 0; r < rows; ++r) mean += x[r * channels + c];
      mean = static_cast<T>(mean / double(rows));
      for (int64_t r = 0; r < rows; ++r) {
        const double d = x[r * channels + c] - mean;
        squares += d * d;
      }
      moments[c] = static_cast<T>(mean);
      moments[channels + c] = static_cast<T>(squares);
    }
  }
}

// Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
// Variances", 1979, for parts of equal size.
PT_REFERENCE(BatchNormStatistics) {
  const int64_t samples = args.operands[0].shape[0], channels = args.operands[0].shape[2];
  const double count = double(args.Attr<MomentsAttrs>().count);
  for (int64_t c = 0; c < channels; ++c) {
    const T* moments = In<T>(args, 0) + c;
    double mean = 0, squares = 0;
    for (int64_t n = 0; n < samples; ++n) mean += moments[n * 2 * channels];
    mean /= double(samples);
    for (int64_t n = 0; n < samples; ++n) {
      const double d = moments[n * 2 * channels] - mean;
      squares += moments[(n * 2 + 1) * channels] + count * d * d;
    }
    Store(Out<T>(args, 0), c, mean);
    Store(Out<T>(args, 1), c, squares / (count * double(samples)));
  }
}

PT_REFERENCE(BatchNormGradParams) {
  const auto [rows, channels] = ExtentOf(args.operands[0]);
  const NormGradient<T> gradient(args, args.Attr<NormAttrs>().eps, args.Attr<NormAttrs>().act, 5);
  for (int64_t c = 0; c < channels; ++c) {
    const auto [dscale, dshift] = gradient.OfParams(rows, channels, c);
    Store(Out<T>(args, 0), c, dscale);
    Store(Out<T>(args, 1), c, dshift);
  }
}

PT_REFERENCE(BatchNormGradInput) {
  const auto [rows, channels] = ExtentOf(args.operands[0]);
  const NormGradAttrs& attrs = args.Attr<NormGradAttrs>();
  const NormGradient<T> gradient(args, attrs.eps, attrs.act, 7);
  for (int64_t c = 0; c < channels; ++c) {
    const double dscale = In<T>(args, 5)[c], dshift = In<T>(args, 6)[c];
    gradient.OfInput(rows, channels, c, dscale, dshift, double(attrs.count), Out<T>(args, 0));
  }
}

PT_REFERENCE(BatchNormFrozenGradInput) {
  const auto [rows, channels] = ExtentOf(args.operands[0]);
  const T* dy = In<T>(args, 0);
  const T* scale = In<T>(args, 1);
  const T* variance = In<T>(args, 2);
  T* dx = Out<T>(args, 0);
  for (int64_t c = 0; c < channels; ++c) {
    const double factor = scale[c] * InverseDeviation(variance[c], args);
    for (int64_t r = 0; r < rows; ++r) {
      dx[r * channels + c] = static_cast<T>(dy[r * channels + c] * factor);
    }
  }
}

PT_REFERENCE(BatchNormFrozenGradScale) {
  const auto [rows, channels] = ExtentOf(args.operands[0]);
  const T* dy = In<T>(args, 0);
  const T* x = In<T>(args, 1);
  const T* mean = In<T>(args, 2);
  const T* variance = In<T>(args, 3);
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      sum += dy[r * channels + c] * (double{x[r * channels + c]} - mean[c]);
    }
    Out<T>(args, 0)[c] = static_cast<T>(sum * InverseDeviation(variance[c], args));
  }
}

}  // namespace pocketune::reference
