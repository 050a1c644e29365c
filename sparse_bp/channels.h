// Which input channels of a weight learn.
#pragma once

#include <memory>

#include "graph/ir/graph.h"
#include "sparse_bp/update.h"

namespace pocketune {

// floor(ratio * channels), of which a ratio that was rounded does not lose one.
int64_t CountOf(double ratio, int64_t channels);

// The slices of `weight` along `axis` that learn under `update`, which is of kind kChannels:
// CountOf(update.ratio, dimension) of them, at least one and fewer than all. A weight without data
// counts as zeros; of equals the lower number is taken.
std::shared_ptr<const LearningSlices> PickChannels(const Value& weight, int axis,
                                                   const Update& update);

}  // namespace pocketune
