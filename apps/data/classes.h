// The names of classes: their order, and how those of some data meet those that a run learned.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace pocketune::data {

struct DatasetContents;

// "a, b, c and 7 more": `names` in one line, of which at most `limit` are written out.
std::string ListNames(const std::vector<std::string>& names, size_t limit);

// Makes the classes of `contents` those of `known`, in its order, matched by name: labels are
// renumbered, and a class that the data lacks has no samples. DATA_LOSS where a sample is of a
// class that is not in `known`, which must not name a class twice; `path` begins that message.
absl::Status MatchKnownClasses(const std::string& path, const std::vector<std::string>& known,
                               DatasetContents* contents);

}  // namespace pocketune::data
