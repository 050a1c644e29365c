// Commands that save what they have before a signal ends them.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"

namespace pocketune::cli {

// From here on SIGHUP (a closed terminal), SIGINT, SIGQUIT, SIGTERM and SIGXCPU (a limit of
// processor time) set the number returned, 0 until then, in place of ending the process; a second
// one, of any of them, ends it at once. What was ignored when the process began, as SIGHUP under
// nohup, stays ignored.
const std::atomic<int>& CatchStopSignals();

// The status that a command ends with behind such a signal, with the shell's exit code for it:
// 128 and the signal's number.
absl::Status StoppedBySignal(const std::string& message);

}  // namespace pocketune::cli
