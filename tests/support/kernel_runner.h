// Runs one op through a kernel table, as the runtime would, on memory poisoned with NaN.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "backends/api/kernel.h"
#include "tests/support/tensor_data.h"

namespace pocketune::test {

struct RunOptions {
  // Row to run; empty: the first that serves the query.
  std::string kernel;
  Isa isa = Isa::kAuto;
  // Bit i: operand i is constant while the plan runs (a frozen weight).
  uint32_t constant_operands = 0;
  // Bit i: nobody reads result i.
  uint32_t unread_results = 0;
  // Result 0 lies at the start of operand 0. The results of updates always lie over their operands.
  bool in_place = false;
};

// Not thread-safe. `page` is the caller's to set; it starts at step 1, learning rate 0.1.
class KernelRunner {
 public:
  explicit KernelRunner(KernelTable table, int threads = 1) : table_(table), pool_(threads) {
    page.step = 1;
    page.learning_rate = 0.1;
  }

  // The op's results; empty, with a test failure, where the op refuses its operands or no kernel
  // serves it. Fails the test also where the kernel writes an operand or past the end of a buffer.
  // An unread result comes back as NaN.
  std::vector<TensorData> Run(OpKind op, const std::vector<TensorData>& operands,
                              const Attrs& attrs, const RunOptions& options = {}) {
    const std::string name = InfoOf(op).name;
    std::vector<TensorType> operand_types;
    for (const TensorData& operand : operands) operand_types.push_back(operand.type());
    std::vector<TensorType> result_types(size_t(InfoOf(op).results));
    for (TensorType& type : result_types) type.dtype = fill_dtype;
    const Status inferred = InferShapes(op, operand_types, attrs, result_types);
    if (!inferred.ok()) {
      ADD_FAILURE() << name << ": " << inferred.message() << " (" << inferred.detail() << ")";
      return {};
    }
    KernelQuery query{op,          operand_types, result_types, &attrs, options.constant_operands,
                      options.isa, pool_.slots()};
    const KernelInfo* kernel =
        options.kernel.empty() ? SelectKernel(table_, query) : FindKernel(table_, options.kernel);
    if (kernel == nullptr) {
      ADD_FAILURE() << name << ": no kernel";
      return {};
    }
    return RunKernel(*kernel, query, operands, options);
  }

  // For ops with one result.
  TensorData Run1(OpKind op, const std::vector<TensorData>& operands, const Attrs& attrs,
                  const RunOptions& options = {}) {
    std::vector<TensorData> results = Run(op, operands, attrs, options);
    return results.empty() ? TensorData() : results[0];
  }

  StepPage page;
  DType fill_dtype = DType::kF32;  // of the result of fill, which has no operand

 private:
  std::vector<TensorData> RunKernel(const KernelInfo& kernel, const KernelQuery& query,
                                    const std::vector<TensorData>& operands,
                                    const RunOptions& options) {
    const bool update = InfoOf(query.op).Has(kUpdate);
    std::vector<TensorData> inputs = operands;
    std::vector<TensorData> results;
    std::vector<TensorView> operand_views, result_views;
    for (const TensorData& input : inputs) operand_views.push_back(input.view());
    for (size_t i = 0; i < query.results.size(); ++i) {
      const bool over = update || (options.in_place && i == 0);
      results.push_back(over ? operands[i] : TensorData(query.results[i]));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      result_views.push_back(results[i].view());
      result_views[i].shape = query.results[i].shape;
      if (update || (options.in_place && i == 0)) operand_views[i] = results[i].view();
      if ((options.unread_results >> i & 1) != 0) result_views[i].data = nullptr;
    }
    AlignedBytes scratch(kernel.scratch_bytes != nullptr ? kernel.scratch_bytes(query) : 0);

    KernelArgs args;
    args.operands = operand_views;
    args.results = result_views;
    args.attrs = AttrsBytes(*query.attrs).data();
    args.scratch = scratch.data();
    args.page = &page;
    args.pool = &pool_;
    if (!Prepare(kernel, query, &args)) return {};
    kernel.run(args);
    if (kernel.release != nullptr) kernel.release(args.state);

    EXPECT_TRUE(scratch.GuardIntact()) << kernel.name << " writes past its scratch";
    for (const TensorData& result : results) {
      EXPECT_TRUE(result.bytes().GuardIntact()) << kernel.name << " writes past a result";
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_TRUE(inputs[i] == operands[i]) << kernel.name << " writes operand " << i;
      EXPECT_TRUE(inputs[i].bytes().GuardIntact()) << kernel.name << " writes past operand " << i;
    }
    if (options.in_place && results[0].type() != query.results[0]) {
      TensorData smaller(query.results[0]);
      std::memcpy(smaller.bytes().data(), results[0].bytes().data(),
                  static_cast<size_t>(smaller.bytes().size()));
      results[0] = std::move(smaller);
    }
    return results;
  }

  // Makes the kernel's state from the constant operands alone.
  static bool Prepare(const KernelInfo& kernel, const KernelQuery& query, KernelArgs* args) {
    if (kernel.prepare == nullptr) return true;
    std::vector<TensorView> constants(args->operands.begin(), args->operands.end());
    for (size_t i = 0; i < constants.size(); ++i) {
      if ((query.constant_operands >> i & 1) == 0) constants[i].data = nullptr;
    }
    KernelArgs prepare_args = *args;
    prepare_args.operands = constants;
    std::vector<TensorView> results(args->results.begin(), args->results.end());
    for (TensorView& result : results) result.data = nullptr;
    prepare_args.results = results;
    const Status status = kernel.prepare(prepare_args, &args->state);
    EXPECT_TRUE(status.ok()) << kernel.name << ": " << status.message();
    return status.ok();
  }

  KernelTable table_;
  ThreadPool pool_;
};

}  // namespace pocketune::test
