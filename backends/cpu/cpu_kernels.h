// The CPU backend: own SIMD kernels for every op, and XNNPACK for ops whose weights are frozen.
#pragma once

#include <optional>
#include <string_view>

#include "backends/api/kernel.h"

namespace pocketune {

// Rows in order of preference: XNNPACK's first, then own kernels ("cpu.<op>"). None on a processor
// that CheckCpu (cpu.h) refuses.
KernelTable CpuKernels();

// The level that own kernels run at: the machine's highest, or a lower one that SetIsa asked for.
Isa CurrentIsa();
// Caps own kernels at `isa` for the whole process. Fails with kFailedPrecondition, changing
// nothing, where the machine or the build does not have it, and where another level serves an open
// session (IsaHold). Not while another thread opens one.
Status SetIsa(Isa isa);
// "auto", "sse4", "avx2", "avx512", "neon", and back.
const char* NameOf(Isa isa);
std::optional<Isa> IsaNamed(std::string_view name);

}  // namespace pocketune
