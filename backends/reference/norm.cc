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

double InverseDeviation(double variance, const KernelArgs& args) {
  return 1.0 / std::sqrt(variance + args.Attr<NormAttrs>().eps);
}

// dy where relu or relu6 let the normalized value through, else 0.
double ThroughAct(Act act, double value, double dy) {
  if (act == Act::kNone) return dy;
  return value > 0 && (act == Act::kRelu || value < 6) ? dy : 0;
}

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
  const Act act = args.Attr<NormAttrs>().act;
  const T* x = In<T>(args, 1);
  const T* scale = In<T>(args, 2);
  const T* mean = In<T>(args, 3);
  const T* variance = In<T>(args, 4);
  T* dx = Out<T>(args, 0);
  for (int64_t c = 0; c < channels; ++c) {
    const double inverse = InverseDeviation(variance[c], args);
    const double shift = act == Act::kNone ? 0.0 : double{In<T>(args, 5)[c]};
    const auto gradient = [&](int64_t at) {
      const double value = (x[at] - double{mean[c]}) * (scale[c] * inverse) + shift;
      return ThroughAct(act, static_cast<T>(value), In<T>(args, 0)[at]);
    };
    double dscale = 0, dshift = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const double g = gradient(r * channels + c);
      dshift += g;
      dscale += g * (double{x[r * channels + c]} - mean[c]) * inverse;
    }
    for (int64_t r = 0; r < rows; ++r) {
      const double normalized = (double{x[r * channels + c]} - mean[c]) * inverse;
      const double through_statistics = (dshift + normalized * dscale) / double(rows);
      const double g = gradient(r * channels + c);
      Store(dx, r * channels + c, scale[c] * inverse * (g - through_statistics));
    }
    Store(Out<T>(args, 1), c, dscale);
    Store(Out<T>(args, 2), c, dshift);
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
