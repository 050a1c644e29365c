// Where notices go that are no error of any call.
#pragma once

#include <cstdint>

namespace pocketune {

enum class LogLevel : uint8_t { kInfo = 0, kWarning = 1, kError = 2 };

// Gets one line without a newline; the memory lives for the call. Must not throw. Called on the
// thread that noticed, which may be any that calls the library; not from within a step.
using LogFunction = void (*)(void* user, LogLevel level, const char* line);

// From now on notices go to `log`, with `user`; nullptr: to nobody, as in the beginning. One for
// the process. Thread-safe; a notice that is under way on another thread may still reach the one
// before.
void SetLog(LogFunction log, void* user);

}  // namespace pocketune
