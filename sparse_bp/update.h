// What of one parameter learns.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace pocketune {

// Which input channels of a weight learn where not all do.
enum class ChannelOrder : uint8_t {
  kMagnitude,  // those with the largest L2 norm of their slice of the weight
  kFirst,
  kRandom,  // by Update::seed and the parameter's name
};

struct Update {
  enum class Kind : uint8_t {
    kNone,
    kBias,      // biases and batch-norm shifts
    kAll,       // weights and scales as well
    kChannels,  // biases and shifts, and floor(ratio * channels) input channels of each weight
  };
  using enum Kind;

  Update(Kind update = kNone) : kind(update) {}  // NOLINT: kinds without parameters convert

  Kind kind;
  double ratio = 1.0;  // in [0, 1]
  ChannelOrder order = ChannelOrder::kMagnitude;
  uint64_t seed = 1;

  static Update Channels(double ratio) {
    Update update(kChannels);
    update.ratio = ratio;
    return update;
  }
};

// An update in text: "none", "bias", "all", "channels(R)" and "channels(R,ORDER)" with ORDER
// "magnitude", "first", "random" or "random:SEED". UNIMPLEMENTED for "lora(r)".
absl::StatusOr<Update> ParseUpdate(const std::string& text);

}  // namespace pocketune
