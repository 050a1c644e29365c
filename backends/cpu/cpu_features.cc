#include "backends/cpu/cpu_features.h"

#include <atomic>

#include "backends/api/isa_hold.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/hwy_targets.h"
#include "hwy/targets.h"
#include "pocketune/cpu.h"

namespace pocketune {
namespace {

// Targets that serve a level, and all better ones that kernels are compiled for.
struct Level {
  Isa isa;
  int64_t target;
  const char* name;
};

// In rising order within an architecture.
constexpr Level kLevels[] = {
    {Isa::kSse4, HWY_SSE4, "sse4"},
    {Isa::kAvx2, HWY_AVX2, "avx2"},
    {Isa::kAvx512, HWY_AVX3, "avx512"},
    {Isa::kNeon, HWY_NEON, "neon"},
};

Isa HighestOf(int64_t targets) {
  Isa best = Isa::kAuto;
  for (const Level& level : kLevels) {
    if ((targets & level.target) != 0) best = level.isa;
  }
  return best;
}

// What both the processor and this build have. Highway is asked once: SupportedTargets() of 1.0
// forgets what DisableTargets chose for the dispatch, until the next update.
int64_t MachineTargets() {
#if HWY_ARCH_ARM_A64
  // Every such processor has NEON. Highway 1.0 would ask for AES, too, which these kernels do not
  // use and a Raspberry Pi 4 does not have.
  return HWY_NEON;
#else
  static const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  return targets;
#endif
}

// What SetIsa asked for last.
std::atomic<Isa> g_current{Isa::kAuto};

}  // namespace

Isa MachineIsa() { return HighestOf(MachineTargets()); }

Isa CurrentIsa() {
  const Isa isa = g_current.load(std::memory_order_relaxed);
  return isa == Isa::kAuto ? MachineIsa() : isa;
}

Status CheckCpu() {
  if (MachineIsa() != Isa::kAuto) return OkStatus();
  return Status(StatusCode::kFailedPrecondition,
                "this processor has none of the instruction sets of this build");
}

Status SetIsa(Isa isa) {
  PT_RETURN_IF_ERROR(CheckCpu());
  int64_t targets = MachineTargets();
  bool found = isa == Isa::kAuto;
  for (const Level& level : kLevels) {
    if (level.isa == isa) found = (targets & level.target) != 0;
  }
  if (!found) {
    return Status(StatusCode::kFailedPrecondition,
                  "this processor or build lacks the instruction set");
  }
  const bool changes = (isa == Isa::kAuto ? MachineIsa() : isa) != CurrentIsa();
  if (changes && IsaHold::any()) {
    return Status(StatusCode::kFailedPrecondition,
                  "a session is open, whose kernels were chosen for another instruction set");
  }
  for (const Level& level : kLevels) {
    if (isa != Isa::kAuto && level.isa > isa) targets &= ~level.target;
  }
  g_current.store(isa, std::memory_order_relaxed);
  hwy::GetChosenTarget().Update(targets);
  return OkStatus();
}

const char* NameOf(Isa isa) {
  for (const Level& level : kLevels) {
    if (level.isa == isa) return level.name;
  }
  return "auto";
}

std::optional<Isa> IsaNamed(std::string_view name) {
  if (name == NameOf(Isa::kAuto)) return Isa::kAuto;
  for (const Level& level : kLevels) {
    if (name == level.name) return level.isa;
  }
  return std::nullopt;
}

}  // namespace pocketune
