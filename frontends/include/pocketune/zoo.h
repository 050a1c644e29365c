// The models that come with pocketune, and their weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pocketune/model.h"
#include "pocketune/outcome.h"
#include "pocketune/weights.h"

namespace pocketune {

// What to build. Zeros stand for the model's defaults.
struct ModelSpec {
  std::string name;        // as ListModels gives it
  double width = 0.0;      // multiplies channels, where the model has a width; (0, 4]
  int resolution = 0;      // of square inputs, pixels; models with another shape ignore it
  int input_channels = 0;  // of a picture: 3 for colours, 1 for grey
  int classes = 0;         // answers that the last layer gives, 1 to 100000
  int batch = 1;           // samples of one training step
  // Convolutions with a bias instead of a batch norm: the form of weights that were folded.
  bool folded_norm = false;
  double dropout = 0.0;  // rate before the classifier, [0, 1)
};

// A model of the zoo, for listings.
struct ModelListing {
  std::string name;
  std::string summary;
  ModelSpec defaults;
  int height = 0;
  int width = 0;
  int64_t params = 0;        // weights, biases, two per batch-norm channel
  int64_t forward_macs = 0;  // per sample, convolutions and linear layers alone
};
std::vector<ModelListing> ListModels();

// A model of the zoo, built.
struct ZooModel {
  Model model;
  ModelSpec spec;  // complete: no zeros left
  GivenWeights given = GivenWeights::kNone;
};

// Builds a model of the zoo. With `weights` (a safetensors file under PyTorch's names and layouts;
// empty: none) its values are loaded, and `folded_norm` follows the file; parameters that the file
// does not give a value, and all without a file, are initialised from `seed`. Errors: NOT_FOUND for
// an unknown model or file, INVALID_ARGUMENT for bad sizes or weights, UNAVAILABLE where reading
// failed. `report` may be null.
Outcome<ZooModel> BuildZooModel(const ModelSpec& spec, const std::string& weights, uint64_t seed,
                                WeightsReport* report);

}  // namespace pocketune
