// The laws of loops over parts of the batch (verifier.h).
#pragma once

#include "absl/status/status.h"
#include "graph/ir/graph.h"

namespace pocketune {

// Loops are ascending and disjoint and their nodes can run on parts of the batch. A value of which
// one part exists at a time is made, read and overwritten within its loop alone; what a loop sums
// up is read behind it, and what it makes of the whole batch is read part by part until then.
absl::Status CheckLoops(const Graph& graph);

}  // namespace pocketune
