// What a command says on standard output, and whether it got there.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace pocketune::cli {

// Writes all of `text` at once; false where it could not. The first failure is remembered.
bool WriteStandardOutput(const std::string& text);

// An error with the exit code for input/output where something that was written did not get there,
// on a full disk for instance. A reader that has gone away (`| head`) had what it wanted: no error.
absl::Status StandardOutputStatus();

}  // namespace pocketune::cli
