// The exit codes of the command line, carried in statuses from where an error is understood.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "graph/base/status_macros.h"
#include "pocketune/outcome.h"
#include "pocketune/status.h"

namespace pocketune {

enum class ExitCode : int {
  kDone = 0,
  kUsage = 2,
  kModel = 3,  // bad model, plan or weights
  kData = 4,
  kCheckpoint = 5,  // none is usable
  kIo = 6,
  kBudget = 7,    // over the given memory or time
  kNumerics = 8,  // stopped by the numerical guard, rolled back
  kLocked = 9,    // locked, or not supported on this device
  kInternal = 70,
  kHungUp = 129,  // these and others by a signal, 128 and its number, after saving
  kInterrupted = 130,
  kTerminated = 143,
};

// A status of this exit code and one-line message.
absl::Status Fail(ExitCode code, const std::string& message);
// `status` with the exit code `code`, unless it has one already; a failed read or write
// (UNAVAILABLE) is kIo whatever it was reading, a bug (INTERNAL) kInternal, and too little memory
// (RESOURCE_EXHAUSTED) kLocked: not supported on this device.
absl::Status As(ExitCode code, absl::Status status);
// The same for the runtime's errors; `where` names the file or the part. Too little memory is
// kLocked: not supported on this device.
absl::Status As(ExitCode code, const std::string& where, const Status& status);
template <typename T>
absl::Status As(ExitCode code, const Outcome<T>& outcome) {
  return As(code, absl::Status(static_cast<absl::StatusCode>(outcome.code()), outcome.message()));
}

// kDone for OK; kInternal for an error that nobody gave a code.
ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace pocketune
