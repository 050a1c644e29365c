#include "engine/train/best_epoch.h"

namespace pocketune {

bool IsBest(const Evaluation& eval, const TrainState& state) {
  if (state.best_epoch < 0) return true;
  if (state.best_loss < 0) return eval.accuracy() >= state.best_accuracy;
  const bool lower_loss = eval.loss < state.best_loss;
  if (eval.samples < kFewValidationSamples) return lower_loss;
  if (eval.accuracy() != state.best_accuracy) return eval.accuracy() > state.best_accuracy;
  return lower_loss;
}

}  // namespace pocketune
