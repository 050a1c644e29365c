// Sessions on the CPU backend. Link pocketune_cpu.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "pocketune/session.h"

namespace pocketune {

// The CPU backend's kernels, for SessionOptions::kernels.
std::span<const KernelInfo> CpuKernels();

// Session::Open with the CPU backend's kernels after those of `options`.
inline Result<std::unique_ptr<Session>> OpenCpuSession(const char* plan_path,
                                                       SessionOptions options = {}) {
  options.kernels.push_back(CpuKernels());
  return Session::Open(plan_path, options);
}

}  // namespace pocketune
