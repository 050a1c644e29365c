// Notices of the runtime side, to whom pocketune/log.h names.
#pragma once

#include "pocketune/log.h"

namespace pocketune {

// printf's format; lines longer than 255 bytes are cut. Costs nothing to speak of where nobody
// listens. Thread-safe.
__attribute__((format(printf, 2, 3))) void Log(LogLevel level, const char* format, ...);

}  // namespace pocketune
