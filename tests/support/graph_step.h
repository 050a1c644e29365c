// One training step of a graph, by the reference kernels.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "backends/reference/reference_kernels.h"
#include "tests/support/interpreter.h"

namespace pocketune::test {

// Every output and, after a step, every parameter of `graph` that an update overwrites.
inline std::map<std::string, TensorData> Step(const Graph& graph, DType dtype) {
  Interpreter interpreter(graph, ReferenceKernels(), dtype);
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    if (value.kind != ValueKind::kInput) continue;
    const TensorData data = TensorData::Uniform(value.type, value.name, 0, 1.5);
    interpreter.Set(static_cast<ValueId>(i), data.Values());
  }
  StepPage page;
  page.step = 1;
  page.learning_rate = 0.5;
  interpreter.Run(page);
  EXPECT_FALSE(page.faulty());
  std::map<std::string, TensorData> tensors;
  for (const Output& output : graph.outputs) {
    tensors.emplace(output.name, interpreter.Get(output.value));
  }
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    if (value.kind == ValueKind::kParam && value.trainable) {
      tensors.emplace(value.name, interpreter.Get(static_cast<ValueId>(i)));
    }
  }
  return tensors;
}

}  // namespace pocketune::test
