// The one small page of things that change from step to step. Every kernel may read it; only the
// session writes it, between steps, but for `faults`, which a kernel may raise.
#pragma once

#include <atomic>
#include <cstdint>

namespace pocketune {

// Bits of StepPage::faults.
inline constexpr uint32_t kFaultLoss = 1;      // the loss is NaN or infinite
inline constexpr uint32_t kFaultGradient = 2;  // a gradient is NaN or infinite
inline constexpr uint32_t kFaultLabel = 4;     // a label is outside [0, classes)
inline constexpr uint32_t kFaultKernel = 8;    // a kernel could not run: its library failed

struct StepPage {
  uint64_t step = 0;           // 1 in the first step; Adam's bias correction counts from it
  uint64_t seed = 0;           // key of the counter-based generator (dropout)
  double learning_rate = 0.0;  // after the schedule, before a parameter group's own factor
  std::atomic<uint32_t> faults{0};

  // Once a fault is raised no update kernel writes a weight or a state any more.
  bool faulty() const { return faults.load(std::memory_order_relaxed) != 0; }
  void Raise(uint32_t fault) { faults.fetch_or(fault, std::memory_order_relaxed); }
};

}  // namespace pocketune
