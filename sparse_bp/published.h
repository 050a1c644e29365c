// Update schemes that papers published for their models.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"
#include "sparse_bp/update.h"

namespace pocketune {

// What of a layer (LayersOf) learns.
struct LayerUpdate {
  bool bias = false;
  Update weight;  // of the weight alone
};

// The machine-found schemes of MCUNetV3 (Lin et al., NeurIPS 2022): `name` is "<model>-<label>",
// the label its extra memory in KiB at 128x128.
struct McunetV3Scheme {
  std::string model;
  std::vector<LayerUpdate> layers;  // as many as the model has
};
// INVALID_ARGUMENT, with the nearest name, where there is none of that name.
absl::StatusOr<McunetV3Scheme> FindMcunetV3Scheme(const std::string& name);
// All fifteen names.
std::vector<std::string> McunetV3SchemeNames();

// PockEngine's scheme (Zhu et al., MICRO 2023) for the model: biases of the last blocks, and the
// first 1x1 convolution of some of them. INVALID_ARGUMENT where none was published for it.
absl::StatusOr<std::vector<LayerUpdate>> PockEngineScheme(const Graph& forward);

}  // namespace pocketune
