// What a weights file gave a model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pocketune {

// What a weights file gave a model and what it did not.
struct WeightsReport {
  int loaded = 0;
  std::vector<std::string> missing;    // of the model, not in the file
  std::vector<std::string> extra;      // in the file, not of the model (counters left out)
  std::vector<std::string> misshaped;  // "name (got [..], want [..])"
  bool new_classifier = false;         // the file's has another number of classes: initialised anew
  int64_t classes = 0;                 // that number, where it has
  std::string left_out;  // what the file's names have beside the model's, e.g. "module."

  // One line each, for a person.
  std::vector<std::string> Lines() const;
};

// Which parameters a weights file gave their values. What was not given has random values, and
// answers nothing until it has learned.
enum class GivenWeights : uint8_t { kAll, kAllButClassifier, kNone };

}  // namespace pocketune
