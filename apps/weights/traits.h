// What travels with weights: whose they are and what pictures were like that they learned from.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pocketune {

// In a safetensors file's metadata, under "pocketune.model" and so on.
struct WeightsTraits {
  std::string model;                     // of the zoo; empty: not said
  std::string normalize;                 // a value of --normalize; empty: not said
  std::vector<std::string> class_names;  // in the order of the outputs; empty: not said
  std::string source;                    // for a person; empty: not said
};

std::map<std::string, std::string> ToMetadata(const WeightsTraits& traits);
// INVALID_ARGUMENT, NOT_FOUND and UNAVAILABLE as SafetensorsFile::Open.
absl::StatusOr<WeightsTraits> ReadTraits(const std::string& path);

}  // namespace pocketune
