// Kernels for tests of the runtime: one that runs on all threads, one that has a state.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "backends/api/kernel.h"

namespace pocketune::test {

// Element (m, n) of A B^T + bias or, with trans_a, of A^T B; in order of k, in float.
inline float MatmulElement(const KernelArgs& args, int64_t m, int64_t n) {
  const MatmulAttrs& attrs = args.Attr<MatmulAttrs>();
  const TensorView& a = args.operands[0];
  const TensorView& b = args.operands[1];
  const int64_t depth = attrs.trans_a ? a.shape[0] : a.shape[1];
  float sum = args.operands.size() > 2 ? args.operands[2].as<float>()[n] : 0;
  for (int64_t k = 0; k < depth; ++k) {
    const float x = a.as<float>()[attrs.trans_a ? k * a.shape[1] + m : m * depth + k];
    const float y = b.as<float>()[attrs.trans_b ? n * depth + k : k * b.shape[1] + n];
    sum += x * y;
  }
  return sum;
}

// Each item is a row; each slot writes its own part of the scratch first.
inline void ParallelMatmul(const KernelArgs& args) {
  const TensorView& y = args.results[0];
  const int64_t columns = y.shape[1];
  args.pool->ParallelFor(y.shape[0], [&](int64_t m, int slot) {
    float* row = static_cast<float*>(args.scratch) + slot * columns;
    for (int64_t n = 0; n < columns; ++n) row[n] = MatmulElement(args, m, n);
    std::memcpy(y.as<float>() + m * columns, row, size_t(columns) * sizeof(float));
  });
}

inline int64_t ParallelMatmulScratch(const KernelQuery& query) {
  return query.slots * query.results[0].shape[1] * int64_t{sizeof(float)};
}

// What the stateful kernel has lived through.
struct StateLog {
  int prepared = 0;
  int released = 0;
  int runs = 0;
  bool saw_other_data = false;  // prepare was given data beside constants
  Status prepare_status;        // what prepare returns
  bool run_fails = false;       // each run does, as where a library refuses
};
inline StateLog& TheStateLog() {
  static StateLog log;
  return log;
}

// Keeps a copy of its weight and bias, which must be constant.
inline Status PrepareCopy(const KernelArgs& args, void** state) {
  StateLog& log = TheStateLog();
  if (!log.prepare_status.ok()) return log.prepare_status;
  ++log.prepared;
  log.saw_other_data |= args.operands[0].data != nullptr || args.results[0].data != nullptr;
  auto* copies = new std::vector<std::vector<float>>;
  for (const TensorView& constant : args.operands.subspan(1)) {
    copies->emplace_back(constant.as<float>(), constant.as<float>() + constant.shape.elems());
  }
  *state = copies;
  return OkStatus();
}

inline void ReleaseCopy(void* state) {
  ++TheStateLog().released;
  delete static_cast<std::vector<std::vector<float>>*>(state);
}

inline void MatmulFromState(const KernelArgs& args) {
  ++TheStateLog().runs;
  if (TheStateLog().run_fails) return args.page->Raise(kFaultKernel);
  std::vector<TensorView> operands(args.operands.begin(), args.operands.end());
  auto& copies = *static_cast<std::vector<std::vector<float>>*>(args.state);
  for (size_t i = 1; i < operands.size(); ++i) operands[i].data = copies[i - 1].data();
  KernelArgs copy = args;
  copy.operands = operands;
  const int64_t columns = args.results[0].shape[1];
  for (int64_t i = 0; i < args.results[0].shape.elems(); ++i) {
    args.results[0].as<float>()[i] = MatmulElement(copy, i / columns, i % columns);
  }
}

inline bool HasConstantWeight(const KernelQuery& query) {
  return (query.constant_operands | 1) == (1u << query.operands.size()) - 1;
}

inline KernelTable TestKernels() {
  static const KernelInfo kRows[] = {
      {"test.matmul_parallel", OpKind::kMatmul, ParallelMatmul, nullptr, ParallelMatmulScratch},
      {"test.matmul_state", OpKind::kMatmul, MatmulFromState, HasConstantWeight, nullptr,
       PrepareCopy, ReleaseCopy, nullptr},
  };
  return kRows;
}

}  // namespace pocketune::test
