// What the kernels "cpu.*_packed" share: a product whose B are frozen weights, packed once, when a
// plan is opened, at the level that runs then. For weights whose bias learns, which XNNPACK would
// have to pack with them, and for what else it does not serve.
#pragma once

#include <cstdint>

#include "backends/api/kernel.h"
#include "backends/cpu/gemm.h"

namespace pocketune {

// f32 and not empty.
bool IsPlain(const TensorType& type);
// All operands are plain, and operand 1, the weights, never changes.
bool HasFrozenWeights(const KernelQuery& query);
// Not where few rows read B in place, where so many read it that packing it each time is a few
// percent of the product, and where it is large: a copy is memory, and other kernels may need the
// weights too.
bool PackingPays(const GemmProblem& p);

// The functions of a kernel, given its product. StateBytes of one product of the same shapes is
// exact: pages.
int64_t PackedScratchBytes(GemmProblem p, int slots);
int64_t PackedStateBytes(const GemmProblem& p);
Status PrepareGemm(const GemmProblem& p, void** state);
// At the level that PrepareGemm ran at; raises kFaultKernel at another.
void RunPreparedGemm(GemmProblem p, const KernelArgs& args);
void ReleasePacked(void* state);

}  // namespace pocketune
