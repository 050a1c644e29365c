// Declarations of all own kernels, generated from cpu_kernels.def: each kernel file includes this,
// so that a wrong signature does not compile.
#pragma once

#include "backends/api/kernel.h"

namespace pocketune {

#define PT_XNN_KERNEL(...)
#define PT_CPU_KERNEL_PACKED(kind, name)                         \
  struct Packed##kind {                                          \
    static void Run(const KernelArgs& args);                     \
    static bool Supports(const KernelQuery& query);              \
    static int64_t ScratchBytes(const KernelQuery& query);       \
    static Status Prepare(const KernelArgs& args, void** state); \
    static int64_t StateBytes(const KernelQuery& query);         \
  };
#define PT_CPU_KERNEL_WINOGRAD(kind, name)                 \
  struct Winograd##kind {                                  \
    static void Run(const KernelArgs& args);               \
    static bool Supports(const KernelQuery& query);        \
    static int64_t ScratchBytes(const KernelQuery& query); \
  };
#define PT_CPU_KERNEL(kind, name) void Run##kind(const KernelArgs& args);
#define PT_CPU_KERNEL_SCRATCH(kind, name) \
  PT_CPU_KERNEL(kind, name)               \
  int64_t Scratch##kind(const KernelQuery& query);
#include "backends/cpu/cpu_kernels.def"
#undef PT_XNN_KERNEL
#undef PT_CPU_KERNEL_PACKED
#undef PT_CPU_KERNEL_WINOGRAD
#undef PT_CPU_KERNEL
#undef PT_CPU_KERNEL_SCRATCH

}  // namespace pocketune
