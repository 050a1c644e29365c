// Files of weights: what one gave a model, and writing one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pocketune/outcome.h"
#include "pocketune/types.h"

namespace pocketune {

// What a weights file gave a model and what it did not.
struct WeightsReport {
  int loaded = 0;
  std::vector<std::string> missing;    // of the model, not in the file
  std::vector<std::string> extra;      // in the file, not of the model (counters left out)
  std::vector<std::string> misshaped;  // "name (got [..], want [..])"
  bool new_classifier = false;         // the file's has another number of classes: initialised anew
  int64_t classes = 0;                 // that number, where it has
  std::string naming;    // whose names the file has and what to know of them; empty: the model's
  std::string left_out;  // what the file's names have beside the model's, e.g. "module."

  // One line each, for a person.
  std::vector<std::string> Lines() const;
};

// Which parameters a weights file gave their values. What was not given has random values, and
// answers nothing until it has learned.
enum class GivenWeights : uint8_t { kAll, kAllButClassifier, kNone };

// A parameter as a session has it (ParamInfo, Session::ReadParam of session.h): `values` are the
// shape's elements in row order.
struct NamedWeights {
  std::string name;
  Shape shape;
  ParamLayout layout = ParamLayout::kRows;
  std::vector<float> values;
};

// Writes them to a safetensors file at `path`, under their names and in PyTorch's layouts, as f32,
// in this order: what a model of the same parameters loads bit for bit. The file that was there
// stays until the new one is whole. Errors: INVALID_ARGUMENT for two of one name, or values or
// layouts that do not fit their shape; UNAVAILABLE where writing failed. `metadata` goes along, a
// text for each key.
Outcome<bool> WriteWeights(const std::string& path, std::vector<NamedWeights> weights,
                           const std::map<std::string, std::string>& metadata = {});

}  // namespace pocketune
