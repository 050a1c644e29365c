// The bound on the memory of this process, and what keeps the heap small under one.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "apps/cli/common.h"
#include "apps/train/process_budget.h"
#include "apps/train/run_spec.h"
#include "pocketune/session.h"

namespace pocketune::cli {

// What the process may take beside program and libraries (kProgramBytes of process_budget.h).
struct MemoryBound {
  int64_t bytes = 0;      // 0: there is none
  std::string why;        // what set it, for messages
  bool of_group = false;  // nobody asked for it
};

// `asked` (--memory) where it is given, else what the memory group of this process leaves for it,
// which is said.
MemoryBound FindBound(int64_t asked, const CommonFlags& flags);

// What feeding a model with such images takes. The pictures are looked at only under a bound;
// `dataset` may be null.
absl::StatusOr<FeedDemand> DemandOf(const DataSpec& spec, const Shape& image,
                                    const data::Dataset* dataset, const CommonFlags& flags,
                                    const MemoryBound& bound);

// What a plan that is there and what feeds it may take of the bound; without a bound as much as
// they like. kBudget where they do not fit, with the smallest bound that would do.
absl::StatusOr<Division> DivideBound(const MemoryBound& bound, const SessionMemory& plan,
                                     const FeedDemand& demand);

// Must caches and loaders give way? Not under a group's limit that leaves room for all they want.
bool IsTight(const MemoryBound& bound, const Division& division);

// Under a bound, before threads begin: one heap for all threads, and large pieces straight from the
// system, so that what is freed is not kept.
void KeepHeapSmall();
// Gives freed memory back to the system.
void ReturnFreedMemory();

}  // namespace pocketune::cli
