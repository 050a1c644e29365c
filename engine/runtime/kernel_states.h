// States of the kernels that have one: packed frozen weights.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backends/api/kernel.h"
#include "engine/base/mapped_file.h"

namespace pocketune {

// Steps that agree in kernel, constants, types and attributes share one state, whatever schedule
// they stand in. Owns the states, which live as long as this.
class KernelStates {
 public:
  // Constants lie in `mapping`, which must outlive this.
  explicit KernelStates(const MappedFile& mapping) : mapping_(mapping) {}
  ~KernelStates();
  KernelStates(const KernelStates&) = delete;
  KernelStates& operator=(const KernelStates&) = delete;

  // The state for a step of `kernel`, made by `prepare` where there is none yet; the pages of its
  // constants are given back then. `args` is what the step will run with.
  Result<void*> Get(const KernelInfo& kernel, const KernelQuery& query, const KernelArgs& args);

 private:
  struct Owned {
    const KernelInfo* kernel;
    void* state;
  };
  const MappedFile& mapping_;
  std::vector<Owned> owned_;
  std::map<std::string, void*> by_key_;
};

}  // namespace pocketune
