// Closed-form estimates of what a scheme's training costs, as papers state them.
#pragma once

#include <cstdint>

#include "graph/ir/graph.h"

namespace pocketune {

// Per sample; what learns in the classifier is not counted.
struct ExtraMemory {
  int64_t bytes = 0;            // rounded up
  int64_t trained_weights = 0;  // elements
  int64_t trained_biases = 0;
};

// MCUNetV3's model (Lin et al., NeurIPS 2022) of the memory beyond inference of int8 training under
// the scheme applied to `forward` (ApplyScheme): the classifier's input, and from the first layer
// on of which something learns one bit for each result, 4 bytes for each bias that learns, and a
// byte for each weight that learns and for each element of the input channels that these read. Its
// own published figures leave out the classifier's weight and the optimizer's states.
ExtraMemory McunetV3Memory(const Graph& forward);

}  // namespace pocketune
