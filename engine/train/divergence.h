// Has a training come apart although all its numbers are finite?
#pragma once

#include <cstdint>
#include <string>

#include "pocketune/evaluation.h"

namespace pocketune {

// A training has come apart where its loss is above so many times what it began with, for good.
inline constexpr double kGrownLoss = 3.0;
// And already above so many times that where validation is no better than chance.
inline constexpr double kUselessLoss = 1.5;

// The training losses of an epoch that ends, in nats for classes.
struct EpochLosses {
  double first = 0.0;   // of the training's first step
  double mean = 0.0;    // over the epoch
  double last = 0.0;    // of its last step
  int64_t classes = 0;  // that the model tells apart; 0: none
};

// What the loss is measured against: the first step's, or, where that is larger, the loss of a
// classifier that knows nothing, ln(classes). A training that begins with a good model may lose a
// little of it on the way.
double StartLoss(double first, int64_t classes);

// Does `eval` recognise its classes no better than one that always gives the same answer? False
// where it tells no classes apart or was made of no samples.
bool IsAtChance(const Evaluation& eval);

// How the training has come apart, as a fault that can be told; empty where it has not. `eval` is
// of the epoch's end, without samples where there is no validation.
std::string DivergenceOf(const EpochLosses& losses, const Evaluation& eval);

}  // namespace pocketune
