// Files of weights from elsewhere into safetensors files of a model of the zoo.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "apps/weights/traits.h"
#include "frontends/weights/weights_file.h"
#include "pocketune/zoo.h"

namespace pocketune {

// A PyTorch or safetensors file, told apart by content. Errors as TorchFile's and
// SafetensorsFile's.
absl::StatusOr<std::unique_ptr<WeightsFile>> OpenWeightsFile(const std::string& path);

struct Converted {
  ModelSpec model;  // with the file's classes, channels and width
  WeightsReport report;
  WeightsTraits traits;
  int64_t numbers = 0;
};

// Writes the tensors of `model` that the file `from` holds, as f32 under the zoo's names and with
// `traits`, to `to`. An empty model name stands for the one that the file fits; `width` 0 for its
// own. Traits that are not given are those that the file has, and how pictures are prepared is, for
// 1000 classes of a network of torchvision's, what torchvision does. INVALID_ARGUMENT where the
// file fits no such model, with what it holds and fits; UNAVAILABLE where writing fails.
absl::StatusOr<Converted> ConvertWeights(const std::string& from, const ModelSpec& model,
                                         const WeightsTraits& traits, const std::string& to);

}  // namespace pocketune
