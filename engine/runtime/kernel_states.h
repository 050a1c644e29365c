// States of the kernels that have one: packed frozen weights.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backends/api/kernel.h"
#include "engine/plan/plan_file.h"

namespace pocketune {

// Steps that agree in kernel, constants, types but for the number of samples, and attributes share
// one state, whatever schedule they stand in. Owns the states, which live as long as this.
class KernelStates {
 public:
  // Constants lie in the segment of `file`, which must outlive this.
  explicit KernelStates(const PlanFile& file) : file_(file) {}
  ~KernelStates();
  KernelStates(const KernelStates&) = delete;
  KernelStates& operator=(const KernelStates&) = delete;

  // The state for a step of `kernel`, made by `prepare` where there is none yet; its constants are
  // in memory only as long as that takes. `args` is what the step will run with. Errors of
  // `prepare`, UNAVAILABLE, RESOURCE_EXHAUSTED.
  Result<void*> Get(const KernelInfo& kernel, const KernelQuery& query, const KernelArgs& args);

 private:
  struct Owned {
    const KernelInfo* kernel;
    void* state;
  };
  const PlanFile& file_;
  std::vector<Owned> owned_;
  std::map<std::string, void*> by_key_;
};

}  // namespace pocketune
