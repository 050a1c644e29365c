// A kernel: what a step of a plan calls. Backends list theirs in tables; the compiler picks a row,
// the runtime calls its function.
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/step_page.h"
#include "engine/base/thread_pool.h"
#include "engine/ops/op_info.h"
#include "pocketune/types.h"

namespace pocketune {

// Instruction-set levels of own kernels, in rising order. kAuto = the machine's highest.
enum class Isa : uint8_t { kAuto = 0, kSse4, kAvx2, kAvx512, kNeon };

// What a kernel gets. Operands and results follow the op's row in ops.def; an absent operand or an
// unread result has data == nullptr. Where the op is kInplace, results[0].data may equal
// operands[0].data. Memory is 64-byte aligned, a part of the batch to
// its elements alone; dtypes and shapes obey the op's shape rule.
// `scratch` has scratch_bytes of the query, 64-byte aligned, contents undefined.
struct KernelArgs {
  std::span<const TensorView> operands;
  std::span<const TensorView> results;
  const void* attrs = nullptr;  // the op's attribute struct
  void* scratch = nullptr;
  void* state = nullptr;  // what `prepare` made, if the kernel has it
  StepPage* page = nullptr;
  ThreadPool* pool = nullptr;

  template <typename A>
  const A& Attr() const {
    return *static_cast<const A*>(attrs);
  }
};

// What is known when a kernel is chosen.
struct KernelQuery {
  OpKind op = OpKind::kFill;
  std::span<const TensorType> operands;
  std::span<const TensorType> results;
  const Attrs* attrs = nullptr;
  uint32_t constant_operands = 0;  // bit i: operand i never changes while the plan runs
  Isa isa = Isa::kAuto;
  int slots = 1;  // concurrent work items that scratch must serve
};

struct KernelInfo {
  const char* name;  // "<backend>.<op>[_<variant>]", unique
  OpKind op;
  // Runs the op. Allocates nothing. Raises kFaultKernel of the page where it cannot.
  void (*run)(const KernelArgs& args);
  // May this kernel serve the query? Rows are asked in order; the first yes wins. Null: always.
  bool (*supports)(const KernelQuery& query);
  // Scratch in the arena, bytes. Null: none.
  int64_t (*scratch_bytes)(const KernelQuery& query);
  // Kernels with state (packed weights): made once when a plan is opened, from the constant
  // operands (whose data is set until it returns; other data is not). `run` then finds no data in
  // them. It serves any number of samples: dimension 0 of operands that are not constant, and of
  // results, may be another in `run`. Null: no state.
  Status (*prepare)(const KernelArgs& args, void** state) = nullptr;
  void (*release)(void* state) = nullptr;
  // Bytes that `prepare` will hold outside the arena (packed weights, indirection buffers).
  int64_t (*state_bytes)(const KernelQuery& query) = nullptr;
};

// Table of a backend; rows live for ever.
using KernelTable = std::span<const KernelInfo>;

// First row that serves the query, or nullptr.
const KernelInfo* SelectKernel(KernelTable table, const KernelQuery& query);
// Row of that name, or nullptr.
const KernelInfo* FindKernel(KernelTable table, std::string_view name);

}  // namespace pocketune
