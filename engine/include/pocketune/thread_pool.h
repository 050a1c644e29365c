// Threads that sessions share.
#pragma once

#include <memory>

#include "pocketune/status.h"

namespace pocketune {

class ThreadPool;

struct ThreadPoolOptions {
  // The caller's included, 1 to 1024.
  int threads = 1;
  // Nice value of the pool's own threads, -20 to 19, higher for more patient; 0 leaves them as the
  // thread that makes the pool. The thread that calls for a step works too and keeps its own. Linux
  // and Android have a nice value per thread (setpriority).
  int nice = 0;
};

// A pool for SessionOptions::pool of any number of sessions, which take turns, a step each, in the
// order of asking: one that trains and one that predicts may run on two threads of the app side by
// side, and their results are what they would be alone. Fewer threads are taken where the system
// starts no more: ThreadsOf, and a notice (log.h). Errors: INVALID_ARGUMENT for options out of
// range; PERMISSION_DENIED for a nice value that this process may not give itself (detail = errno);
// UNIMPLEMENTED where threads have none; RESOURCE_EXHAUSTED.
Result<std::shared_ptr<ThreadPool>> MakeThreadPool(const ThreadPoolOptions& options);

// Threads of the pool, the caller's included.
int ThreadsOf(const ThreadPool& pool);

}  // namespace pocketune
