// One op on one shape, and kernels that run it: what bench_kernels and bench_onednn time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backends/api/kernel.h"
#include "engine/base/step_page.h"
#include "engine/base/thread_pool.h"
#include "engine/ops/op_info.h"
#include "tests/support/tensor_data.h"

namespace pocketune::bench {

struct KernelCase {
  std::string name;
  OpKind op = OpKind::kAdd;
  Attrs attrs;
  std::vector<TensorType> operands;
  // Bit i: no algorithm can do with reading operand i once where it is larger than all caches.
  uint32_t read_twice = 0;
  double lowest = -1;  // operands are uniform in [lowest, 1)
  // Share of the multiply-add peak, or of the copy bandwidth, that is asked for; 0: none.
  double goal = 0;
};

// The operands and results of a case. Operands have the same values in every process.
class CaseData {
 public:
  // Ends the process with a message where the shapes do not fit the op.
  explicit CaseData(const KernelCase& c);
  CaseData(const CaseData&) = delete;

  // Asks for a kernel for it at the level CurrentIsa(). All operands but the first are constant.
  KernelQuery Query(int threads) const;
  // 2 for each multiply-accumulate of a convolution or a matrix product, else 0.
  double Flops() const;
  // That have to be moved between memory and processor at least.
  double Bytes() const;

  const KernelCase& kernel_case() const { return case_; }
  const test::TensorData& operand(size_t i) const { return operands_[i]; }
  const test::TensorData& result(size_t i) const { return results_[i]; }
  std::vector<TensorView> OperandViews() const;
  // Those of an update lie over its operands.
  std::vector<TensorView> ResultViews() const;

 private:
  const KernelCase& case_;
  std::vector<TensorType> result_types_;
  std::vector<test::TensorData> operands_, results_;
};

// A kernel with scratch and state. `data` and `pool` must outlive it.
class KernelRun {
 public:
  // Ends the process with a message where the kernel cannot be prepared.
  KernelRun(const KernelInfo& kernel, const CaseData& data, ThreadPool& pool);
  ~KernelRun();
  KernelRun(const KernelRun&) = delete;

  void Run() const { kernel_.run(args_); }
  const char* name() const { return kernel_.name; }

 private:
  const KernelInfo& kernel_;
  std::vector<TensorView> operands_, results_;
  test::AlignedBytes scratch_;
  StepPage page_;
  KernelArgs args_;
};

// One turn: calls `run` once, uncounted, then until `seconds` have passed. Seconds a call.
double TimeTurn(const std::function<void()>& run, double seconds);

// Ends the process with one line on stderr.
[[noreturn]] void Die(const std::string& what);

}  // namespace pocketune::bench
