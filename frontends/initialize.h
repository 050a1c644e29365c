// First values of parameters.
#pragma once

#include <cstdint>

#include "graph/ir/graph.h"

namespace pocketune {

// Gives every parameter without data its initial values from the counter-based generator, stream =
// its name, elements in our own layout: weights N(0, 2 / fan_in) (He et al., ICCV 2015), the
// classifier's N(0, 0.01^2), scales and variances 1, everything else 0.
void InitializeParams(Graph& graph, uint64_t seed);

}  // namespace pocketune
