// Runs passes by name, checks the graph after each, and knows their order.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "graph/passes/pass.h"

namespace pocketune {

struct PassInfo {
  const char* name;
  const char* summary;
  absl::Status (*run)(Graph& graph, PassContext& context);
};

// All rows of passes.def.
const std::vector<PassInfo>& AllPasses();

// Runs the named passes in order, but for the disabled ones. After each the graph is verified, a
// record is added and, where POCKETUNE_DUMP_IR names a folder and the text changed, written to
// <folder>/NN_<pass>.ptir. Errors: kNotFound for an unknown name, in `disabled` too; a pass's own;
// kInternal for a graph that a pass broke.
absl::Status RunPasses(Graph& graph, PassContext& context, const std::vector<std::string>& names);

// Stage kForward, `trainable` flags set -> the same stage, ready for autodiff or, for evaluation,
// for Plan.
absl::Status OptimizeForward(Graph& graph, PassContext& context);

// Any graph up to kTraining -> kOptimized, with kernels, in the order that needs least memory.
absl::Status OptimizeGraph(Graph& graph, PassContext& context);

// kOptimized -> the same stage, with what the backward pass reads in context.saved_bits.
absl::Status NarrowSaved(Graph& graph, PassContext& context);

// That -> kPlanned: under context.live_target_bytes where that can be, in-place, with places.
absl::Status ScheduleGraph(Graph& graph, PassContext& context);

// Both.
absl::Status PlanGraph(Graph& graph, PassContext& context);

}  // namespace pocketune
