// Commands that save what they have before a signal ends them.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"

namespace pocketune::cli {

// From here on SIGINT and SIGTERM set the number returned, 0 until then, in place of ending the
// process; the second of a kind ends it at once.
const std::atomic<int>& CatchStopSignals();

// The status that a command ends with behind such a signal, with the shell's exit code for it.
absl::Status StoppedBySignal(const std::string& message);

}  // namespace pocketune::cli
