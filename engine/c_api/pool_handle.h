// A pool behind a handle.
#pragma once

#include <memory>

#include "engine/c_api/call.h"
#include "engine/c_api/handle_table.h"
#include "pocketune/thread_pool.h"

namespace pocketune::capi {

inline constexpr uint32_t kMaxThreads = 1024;

struct PoolHandle : HandleObject {
  static constexpr HandleKind kKind = HandleKind::kPool;
  std::shared_ptr<ThreadPool> pool;
};

// Errors as HandleTable::Peek.
Status PoolOf(const ptn_pool* pool, std::shared_ptr<ThreadPool>* out);

inline int ThreadsOrOne(uint32_t threads) { return threads == 0 ? 1 : static_cast<int>(threads); }

inline ptn_status TooManyThreads(const char* where, uint32_t threads) {
  return Fail(StatusCode::kInvalidArgument, 0, "%s: too many threads (got %u, want at most %u)",
              where, threads, kMaxThreads);
}

}  // namespace pocketune::capi
