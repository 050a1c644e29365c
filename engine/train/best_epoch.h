// Which epoch's weights a run ends with.
#pragma once

#include <cstdint>

#include "pocketune/train.h"

namespace pocketune {

// With fewer validation samples than this the loss alone decides: one sample more or less is then
// two points of accuracy or more, which is luck.
inline constexpr int64_t kFewValidationSamples = 50;

// Is this epoch better on validation than the best so far, which `state` tells of? Higher accuracy
// is, and of equal accuracies the lower loss; with few samples the lower loss. Where the best
// epoch's loss is not known, accuracy alone decides and the later of equals is better. Where the
// plan does not tell classes apart, the lower loss.
bool IsBest(const Evaluation& eval, const TrainState& state);

}  // namespace pocketune
