// Work in a process of its own: what it takes of memory is the system's again when it ends.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace pocketune::cli {

// In a child: ends with `parent`, and is what the system takes first where memory runs out. False
// where the parent has gone already.
bool BelongTo(int parent);

// Forks, runs `work` in the child and gives its text, or its error with its exit code. The child
// sees all of this process's memory as it is and keeps its changes to itself; it ends with this
// process, and where SIGINT or SIGTERM comes meanwhile both end as by StoppedBySignal. `what` names
// the work in errors: kLocked where no process can be made or where the system ends it, for want of
// memory most likely. Only the calling thread goes on in the child: `work` may not wait for others.
absl::StatusOr<std::string> RunInChild(const std::string& what,
                                       const std::function<absl::StatusOr<std::string>()>& work);

}  // namespace pocketune::cli
