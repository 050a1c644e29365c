// Naive kernels, one loop nest per op, in f32 and f64, accumulating in double: the oracle.
#pragma once

#include "backends/api/kernel.h"

namespace pocketune {

// One row "reference.<op>" per op of ops.def. A kernel looks at the dtype of its views: f32 and f64
// both work. Sums run in double in a fixed order. Single-threaded.
KernelTable ReferenceKernels();

}  // namespace pocketune
