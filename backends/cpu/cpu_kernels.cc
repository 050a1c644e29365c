#include "backends/cpu/cpu_kernels.h"

#include "backends/cpu/cpu_features.h"
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/packed_weights.h"
#ifdef POCKETUNE_XNNPACK
#include "backends/cpu/xnn_kernels.h"
#endif

namespace pocketune {
namespace {

// Own kernels compute in f32; doubles are for the reference backend.
bool HasNoDoubles(const KernelQuery& query) {
  for (const TensorType& t : query.operands) {
    if (t.dtype == DType::kF64) return false;
  }
  for (const TensorType& t : query.results) {
    if (t.dtype == DType::kF64) return false;
  }
  return true;
}

constexpr KernelInfo kRows[] = {
#define PT_XNN_KERNEL(variant, kind, name)                             \
  {name,    OpKind::k##kind,       RunXnn,     Xnn##variant::Supports, \
   nullptr, Xnn##variant::Prepare, ReleaseXnn, Xnn##variant::StateBytes},
#define PT_CPU_KERNEL_PACKED(kind, name) \
  {name,                                 \
   OpKind::k##kind,                      \
   Packed##kind::Run,                    \
   Packed##kind::Supports,               \
   Packed##kind::ScratchBytes,           \
   Packed##kind::Prepare,                \
   ReleasePacked,                        \
   Packed##kind::StateBytes},
#define PT_CPU_KERNEL_WINOGRAD(kind, name)                               \
  {name, OpKind::k##kind, Winograd##kind::Run, Winograd##kind::Supports, \
   Winograd##kind::ScratchBytes},
#define PT_CPU_KERNEL(kind, name) {name, OpKind::k##kind, Run##kind, HasNoDoubles, nullptr},
#define PT_CPU_KERNEL_SCRATCH(kind, name) \
  {name, OpKind::k##kind, Run##kind, HasNoDoubles, Scratch##kind},
#ifdef POCKETUNE_SELECTED_KERNELS
#include "backends/cpu/selected_kernels_generated.def"  // the rows that POCKETUNE_KERNELS names
#else
#include "backends/cpu/cpu_kernels.def"
#endif
#undef PT_XNN_KERNEL
#undef PT_CPU_KERNEL_PACKED
#undef PT_CPU_KERNEL_WINOGRAD
#undef PT_CPU_KERNEL
#undef PT_CPU_KERNEL_SCRATCH
};

}  // namespace

KernelTable CpuKernels() {
  if (MachineIsa() == Isa::kAuto) return {};
  return kRows;
}

}  // namespace pocketune
