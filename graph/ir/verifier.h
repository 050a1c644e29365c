// The laws that a graph keeps, stage by stage. Passes rely on them and are checked against them.
#pragma once

#include "absl/status/status.h"
#include "graph/ir/graph.h"

namespace pocketune {

// From stage kForward on:
//   - ids are in range, every result is its producer's, names of inputs, of parameters, of
//   constants
//     and of outputs are unique;
//   - every operand is defined by an earlier node or by none (SSA);
//   - results have the types that the ops' shape rules give;
//   - parameters and constants are floating-point and their data, where there is any, has one
//   number
//     per element;
//   - an update overwrites parameters marked trainable, each at most once, after all their other
//     readers; nobody reads an update's results;
//   - forward nodes read forward results alone, backward nodes none of the update phase; updates
//     stand in the update phase; a forward graph has no backward nodes;
//   - views are in place; other nodes are only where the op allows it, over a result of the same
//     type, and nobody reads the old value afterwards;
//   - loops over parts of the batch keep the laws of loop_laws.h.
// From stage kPlanned on:
//   - every node but a view in the arena has a kernel;
//   - offsets and scratch are aligned and inside the arena; inputs and results that are read have
//   an
//     offset, what an update overwrites, parameters and constants have none;
//   - run in order, each node finds in its operands' bytes what was put there, and its results, its
//     scratch and the operands that it does not overwrite in place are disjoint.
// The first broken law as kInvalidArgument, "verify: node 12 (relu, features.3): ...".
absl::Status Verify(const Graph& graph);

}  // namespace pocketune
