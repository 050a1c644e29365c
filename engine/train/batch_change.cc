#include "engine/train/batch_change.h"

#include <algorithm>

namespace pocketune {

void CountInBatches(int64_t samples, int64_t batch, TrainState* state) {
  const int64_t before = state->batch > 0 ? state->batch : batch;
  state->batch = batch;
  if (before == batch) return;
  const int64_t old_epoch = std::max<int64_t>(1, samples / before);
  const int64_t new_epoch = std::max<int64_t>(1, samples / batch);
  const int64_t in_epoch = state->step % old_epoch;
  // Behind a validation an epoch's sum is empty; one that waits for its validation has it.
  const bool at_end = in_epoch == 0 && state->epoch_steps > 0;
  const int64_t steps = at_end ? new_epoch : std::min(in_epoch * before / batch, new_epoch - 1);
  const int64_t epochs = state->step / old_epoch - (at_end ? 1 : 0);
  state->step = epochs * new_epoch + steps;
  if (state->epoch_steps == 0) return;
  const double mean = state->epoch_loss_sum / static_cast<double>(state->epoch_steps);
  state->epoch_steps = steps;
  state->epoch_loss_sum = mean * static_cast<double>(steps);
}

}  // namespace pocketune
