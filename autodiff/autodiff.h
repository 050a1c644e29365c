// Reverse-mode differentiation of a graph at compile time.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"

namespace pocketune {

struct ParamGrad {
  ValueId param = kNone;
  ValueId grad = kNone;   // of the same shape; of a parameter of which slices learn, of theirs
  ValueId index = kNone;  // the constant that numbers these slices; kNone: all of it learns
};

// Appends to `graph` (its nodes in topological order, no activation fused yet) the nodes that
// compute the gradients of the scalar `loss` with respect to the values `wanted`, marks the graph
// Stage::kTraining, and returns the gradients in that order. Visits only nodes on a path from a
// wanted value to the loss; what else the forward graph holds costs nothing. Where several nodes
// read a value, their contributions are added from the last reader to the first.
// Of a wanted parameter with Value::slices only theirs is computed. Of the input of its convolution
// or matrix product only the channels that they need are kept, by a gather in the forward phase.
// Errors: a loss that is no f32 scalar; a wanted value that the loss does not depend on; an op on
// the way that has no gradient rule. The graph is then half extended and of no use.
absl::StatusOr<std::vector<ParamGrad>> BuildBackward(Graph& graph, ValueId loss,
                                                     const std::vector<ValueId>& wanted);

// The parameters that learn by a gradient, in the graph's order: trainable ones but for running
// statistics and the optimizer's states.
std::vector<ValueId> LearningParams(const Graph& graph);

}  // namespace pocketune
