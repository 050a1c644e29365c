// Gradients by central differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/interpreter.h"

namespace pocketune {

// d output / d param of a forward graph that `run` holds in f64: two runs an element. The output is
// a scalar; the parameter keeps its values. Elements must lie farther than `h` from any kink.
inline std::vector<double> NumericGradient(Interpreter& run, StepPage& page, ValueId param,
                                           const std::string& output, double h = 1e-5) {
  std::vector<double> x = run.Get(param);
  std::vector<double> grad(x.size());
  const auto evaluate = [&](size_t i, double value) {
    x[i] = value;
    run.Set(param, x);
    run.Run(page);
    return run.Get(output)[0];
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const double center = x[i];
    const double above = evaluate(i, center + h);
    const double below = evaluate(i, center - h);
    grad[i] = (above - below) / (2 * h);
    x[i] = center;
  }
  run.Set(param, x);
  return grad;
}

// max|a - b| / max|b|; max|a| where b is zero. NaN anywhere gives NaN.
inline double MaxRelativeError(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0.0, size = 0.0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i])) return NAN;
    difference = std::max(difference, std::abs(a[i] - b[i]));
    size = std::max(size, std::abs(b[i]));
  }
  return size == 0.0 ? difference : difference / size;
}

}  // namespace pocketune
