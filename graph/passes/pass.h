// What a pass is: a function from a valid graph to a valid graph that computes the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "backends/api/kernel.h"
#include "graph/ir/graph.h"
#include "graph/passes/kernel_choice.h"

namespace pocketune {

// What one run of one pass did.
struct PassRecord {
  std::string pass;
  double ms = 0.0;
  int nodes_before = 0;
  int nodes_after = 0;
};

inline constexpr int64_t kNoLiveTarget = -1;
inline constexpr int kAllBits = 32;

// The target and the wishes of a compilation; passes read it, the manager writes `records`.
struct PassContext {
  KernelTable kernels;  // of the backend that the plan is for; empty: nothing is computed or chosen
  Isa isa = Isa::kAuto;
  int slots = 1;                           // as in KernelQuery
  const KernelChoices* choices = nullptr;  // go before the order of `kernels`; may be null
  // A kernel that would hold a state beside these is not chosen unless `choices` names it; null:
  // any may.
  const KernelStateSet* states = nullptr;
  // What rematerialize tries to stay under, in bytes of live values and scratch.
  int64_t live_target_bytes = kNoLiveTarget;
  // Tensors that are larger are not expected in a cache when they are read: their nodes run on
  // parts of the batch where that helps.
  int64_t cached_bytes = int64_t{4} << 20;
  // Of each element of what the backward pass keeps: all of them, or those that narrow_saved
  // leaves.
  int saved_bits = kAllBits;
  std::vector<std::string> disabled;  // text names of passes to skip
  std::vector<PassRecord> records;    // in order of execution
};

#define PT_PASS(Name, ...) absl::Status Run##Name(Graph& graph, PassContext& context);
#include "graph/passes/passes.def"
#undef PT_PASS

}  // namespace pocketune
