// A training that goes on with another batch.
#pragma once

#include <cstdint>

#include "pocketune/train.h"

namespace pocketune {

// Makes a state that counts batches of `state->batch` (0: of `batch`) of an epoch of `samples` one
// that counts batches of `batch`: the same epoch, at the batch that holds the place where it
// stands. Samples of that batch that had their turn have another; the end of an epoch stays one.
void CountInBatches(int64_t samples, int64_t batch, TrainState* state);

}  // namespace pocketune
