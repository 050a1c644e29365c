// Kernels that run through XNNPACK: packed once when a plan is opened, then only run. Bits are
// those of the machine's own instruction set, whatever SetIsa asked for; so they serve only a query
// for that level.
#pragma once

#include "backends/api/kernel.h"

namespace pocketune {

// Bytes that XNNPACK holds now: operators, packed weights, indirection buffers. Thread-safe.
int64_t XnnHeldBytes();
// Bytes that this thread has taken for it, less those that it has given back: before and after
// something on one thread their difference is exact, whatever other threads do.
int64_t XnnHeldByThread();

// Shared by all: runs the operator in args.state, raising kFaultKernel where XNNPACK fails; deletes
// it.
void RunXnn(const KernelArgs& args);
void ReleaseXnn(void* state);

// The functions of a row of cpu_kernels.def; see KernelInfo for each.
struct XnnConv2d {
  static bool Supports(const KernelQuery& query);
  static Status Prepare(const KernelArgs& args, void** state);
  static int64_t StateBytes(const KernelQuery& query);
};
struct XnnMatmul {
  static bool Supports(const KernelQuery& query);
  static Status Prepare(const KernelArgs& args, void** state);
  static int64_t StateBytes(const KernelQuery& query);
};
// Of 1x1 convolutions with stride 1: a product with the transposed weights.
struct XnnConv2dGradInput {
  static bool Supports(const KernelQuery& query);
  static Status Prepare(const KernelArgs& args, void** state);
  static int64_t StateBytes(const KernelQuery& query);
};

}  // namespace pocketune
