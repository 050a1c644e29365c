// Which model of the zoo a file of weights is for.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "frontends/weights/weights_file.h"
#include "pocketune/zoo.h"

namespace pocketune {

// Are the batch norms of that model folded into the layers before them, so that it must be built so
// (ModelSpec::folded_norm)? They are where the file lacks their running statistics and has biases
// that the model has in that form alone. Errors of building it.
absl::StatusOr<bool> HasFoldedNorm(ModelSpec spec, const WeightsFile& file);

// The model of the zoo, with width, classes, input channels and, where weights tell it, resolution,
// whose parameters are all in the file with their shapes. `likely` is tried first, with its own
// width; of the others the first in the zoo's order, in usual widths.
std::optional<ModelSpec> FindFit(const WeightsFile& file, const ModelSpec& likely);

// What the file holds and what it fits, for the end of a message: "the file has 6 tensors
// (layers.0.weight [256,768], ...) and fits --model mlp --resolution 16 --classes 3".
std::string DescribeFile(const WeightsFile& file, const ModelSpec& asked);

}  // namespace pocketune
