// Sessions on the CPU backend. Link pocketune_cpu.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "pocketune/session.h"

namespace pocketune {

// The CPU backend's kernels, for SessionOptions::kernels. A build may have some of them only
// (docs/small_builds.md); a plan with a step of another is UNIMPLEMENTED. None where CheckCpu
// fails.
std::span<const KernelInfo> CpuKernels();

// FAILED_PRECONDITION where the processor has none of the instruction sets that the kernels of this
// build were compiled for.
Status CheckCpu();

// Session::Open with the CPU backend's kernels after those of `options`, so that a kernel given
// there goes before one of the same name here. `plan` is the path of a plan file or its bytes in
// memory, which live as long as the session. Errors: CheckCpu's too.
template <typename PathOrBytes>
Result<std::unique_ptr<Session>> OpenCpuSession(const PathOrBytes& plan,
                                                SessionOptions options = {}) {
  PT_RETURN_IF_ERROR(CheckCpu());
  options.kernels.push_back(CpuKernels());
  return Session::Open(plan, options);
}

}  // namespace pocketune
