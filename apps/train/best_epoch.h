// Which epoch's weights a run ends with.
#pragma once

#include <cstdint>

#include "apps/train/evaluator.h"

namespace pocketune {

struct TrainState;

// With fewer validation pictures than this the loss alone decides: one picture more or less is then
// two points of accuracy or more, which is luck.
inline constexpr int64_t kFewValidationPictures = 50;

// Is this epoch better on validation than the best so far, which `state` tells of? Higher accuracy
// is, and of equal accuracies the lower loss; with few pictures the lower loss. Where the best
// epoch's loss is not known, accuracy alone decides and the later of equals is better.
bool IsBest(const Evaluation& eval, const TrainState& state);

}  // namespace pocketune
