// Holds the kernels on the matrix product against the reference: at every instruction-set level
// that the machine has, for several numbers of threads, on memory poisoned with NaN.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backends/cpu/cpu_kernels.h"
#include "backends/reference/reference_kernels.h"
#include "tests/backends/cpu/isa_levels.h"
#include "tests/support/kernel_runner.h"

namespace pocketune::test {

// What the reference computes in double from the same numbers.
inline std::vector<TensorData> ReferenceResults(OpKind op, const std::vector<TensorData>& operands,
                                                const Attrs& attrs) {
  std::vector<TensorData> doubles;
  for (const TensorData& operand : operands) {
    const bool is_float = operand.type().dtype == DType::kF32;
    doubles.push_back(is_float ? operand.As(DType::kF64) : operand);
  }
  return KernelRunner(ReferenceKernels()).Run(op, doubles, attrs);
}

// May the kernel serve where operand 1 alone never changes?
inline bool ServesFrozenWeights(const KernelInfo& kernel, OpKind op,
                                const std::vector<TensorData>& operands, const Attrs& attrs) {
  std::vector<TensorType> types;
  for (const TensorData& operand : operands) types.push_back(operand.type());
  std::vector<TensorType> results(size_t(InfoOf(op).results));
  EXPECT_TRUE(InferShapes(op, types, attrs, results).ok());
  return kernel.supports({op, types, results, &attrs, 0b10, Isa::kAuto, 1});
}

// Expects the kernel of `options` to agree with `expected` within `tolerance` (max|a - b| / max|b|)
// at all levels, with the same bits for 1 to `max_threads` threads at the highest, for up to two at
// the others.
inline void CheckKernel(OpKind op, const std::vector<TensorData>& operands, const Attrs& attrs,
                        const std::vector<TensorData>& expected, RunOptions options,
                        int max_threads, double tolerance) {
  const std::vector<Isa> levels = IsaLevels();
  for (Isa isa : levels) {
    SCOPED_TRACE(NameOf(isa));
    ASSERT_TRUE(SetIsa(isa).ok());
    options.isa = isa;
    std::vector<TensorData> first;
    const int most = isa == levels.back() ? max_threads : std::min(max_threads, 2);
    for (int threads = 1; threads <= most; ++threads) {
      SCOPED_TRACE(threads);
      const std::vector<TensorData> got =
          KernelRunner(CpuKernels(), threads).Run(op, operands, attrs, options);
      ASSERT_EQ(got.size(), expected.size());
      if (threads == 1) first = got;
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_LE(RelativeError(got[i], expected[i]), tolerance) << "result " << i;
        EXPECT_TRUE(got[i] == first[i]) << "result " << i << ": bits depend on the threads";
      }
    }
  }
  EXPECT_TRUE(SetIsa(Isa::kAuto).ok());
}

// Checks the own kernel "cpu.<op>", and "cpu.<op>_packed" where it serves frozen weights.
inline void CheckOwnKernel(OpKind op, const std::vector<TensorData>& operands, const Attrs& attrs,
                           int max_threads = 4, double tolerance = 1e-5) {
  const std::vector<TensorData> expected = ReferenceResults(op, operands, attrs);
  RunOptions options;
  options.kernel = std::string("cpu.") + InfoOf(op).name;
  CheckKernel(op, operands, attrs, expected, options, max_threads, tolerance);
  options.kernel += "_packed";
  options.constant_operands = 0b10;
  const KernelInfo* packed = FindKernel(CpuKernels(), options.kernel);
  if (packed == nullptr || !ServesFrozenWeights(*packed, op, operands, attrs)) return;
  SCOPED_TRACE(options.kernel);
  CheckKernel(op, operands, attrs, expected, options, max_threads, tolerance);
}

}  // namespace pocketune::test
