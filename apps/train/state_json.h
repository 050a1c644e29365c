// The state of a run as JSON, which is what a run folder's checkpoints carry.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pocketune/train.h"

namespace pocketune {

std::string ToJsonText(const TrainState& state, const std::vector<std::string>& class_names);
// DATA_LOSS for a text that ToJsonText did not give.
absl::StatusOr<TrainState> TrainStateFromJsonText(const std::string& text);

}  // namespace pocketune
