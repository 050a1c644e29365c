// How many threads the system lets this process start.
#pragma once

namespace pocketune {

// Threads that can run beside those that do now, `wanted` at most: starts them all, ends them all.
// Limits of a control group (pids.max), of a user (RLIMIT_NPROC) and of memory show in this way
// alone, and pthreadpool waits for ever for threads that could not be started: ask before. What
// other processes start in the moment after is not foreseen. Tens of microseconds per thread.
int StartableThreads(int wanted);

}  // namespace pocketune
