// What the ports that a loss adds to a model are called.
#pragma once

#include <string>

namespace pocketune {

struct LossPorts {
  std::string label;          // input of the role kLabel
  std::string sample_weight;  // input of the role kSampleWeight
  std::string loss;           // output of the role kLoss
};

}  // namespace pocketune
