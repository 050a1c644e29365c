// Gradients by central differences.
#pragma once

#include <string>
#include <vector>

#include "tests/support/interpreter.h"

namespace pocketune::test {

// d output / d param of a forward graph that `run` holds in f64: two runs an element. The output is
// a scalar; the parameter keeps its values. Elements must lie farther than `h` from any kink.
inline TensorData NumericGradient(Interpreter& run, StepPage& page, ValueId param,
                                  const std::string& output, double h = 1e-5) {
  std::vector<double> x = run.Get(param).Values();
  TensorData grad(run.Get(param).type());
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
    grad.Set(int64_t(i), (above - below) / (2 * h));
    x[i] = center;
  }
  run.Set(param, x);
  return grad;
}

}  // namespace pocketune::test
