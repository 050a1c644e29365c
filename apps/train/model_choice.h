// Which model learns, how large its pictures are and what of it learns, where a user says none of
// it. docs/training.md says what the choice goes by.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/data/dataset.h"
#include "apps/train/run_spec.h"

namespace pocketune {

struct PictureFacts {
  int64_t train_pictures = 0;
  int classes = 0;
  int side = 0;  // pixels: the shorter side of a typical picture
};

// Decodes a few pictures to see how large they are; those that are bad do not count. 0 for the side
// where all are.
PictureFacts FactsOf(const data::Dataset& dataset);

// Fills in model, resolution and scheme of `spec`, each where it is empty or 0; a spec with a model
// stays as it is but for the scheme, which is then `full`. A line each for a person, with why and
// with the flag that says otherwise.
std::vector<std::string> ChooseModel(const PictureFacts& facts, RunSpec* spec);

}  // namespace pocketune
