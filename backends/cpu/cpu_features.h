// What the processor can do, apart from what SetIsa allows (cpu_kernels.h).
#pragma once

#include "backends/api/kernel.h"

namespace pocketune {

// The machine's highest level, whatever SetIsa asked for.
Isa MachineIsa();

}  // namespace pocketune
