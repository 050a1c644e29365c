// What a user leaves open of a training, chosen by what is to learn. docs/training.md says how the
// numbers were found.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "apps/train/run_spec.h"

namespace pocketune {

// Values of a RunSpec that are to be chosen.
inline constexpr double kChooseLr = 0.0;
inline constexpr double kChooseClipNorm = -1.0;
inline constexpr int64_t kChooseWarmup = -1;
inline constexpr int64_t kChooseEpochs = 0;

// What the choice goes by.
struct TrainingFacts {
  bool pretrained = false;  // the model's weights have learned something
  int64_t train_pictures = 0;
};

// Leaves open what a run of another scheme had, but for the flags that `is_given` knows of: what it
// chose for itself.
void ChooseAnew(const std::function<bool(const char* flag)>& is_given, RunSpec* spec);

// Fills in the epochs, the rate, the norm that gradients are clipped to and the warm-up where
// `spec` leaves them open. Few pictures are seen more often, so that there are steps enough. A line
// for a person says what was chosen and what by; empty where nothing was open.
//
// Weights that have learned something, without batch norm to hold them together, come apart at a
// rate at which random ones hardly begin to learn: they get a fifth of it, and a third of the norm.
std::string ChooseTraining(const TrainingFacts& facts, RunSpec* spec);

}  // namespace pocketune
