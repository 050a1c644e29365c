// What the processor can do, apart from what SetIsa allows (cpu_kernels.h).
#pragma once

#include "backends/api/kernel.h"

namespace pocketune {

// The machine's highest level of those that this build has, whatever SetIsa asked for; kAuto where
// it has none of them.
Isa MachineIsa();

}  // namespace pocketune
