// Threads and notices of the C interface.
#include <cxxabi.h>

#include <mutex>

#include "engine/c_api/call.h"
#include "engine/c_api/handle_call.h"
#include "engine/c_api/pool_handle.h"
#include "pocketune/log.h"

namespace pocketune::capi {
namespace {

struct Listener {
  ptn_log_fn log = nullptr;
  void* user = nullptr;
};
std::mutex g_mutex;
Listener g_listener;

// Between the library's lines and a function that may throw.
void PassOn(void*, LogLevel level, const char* line) {
  Listener listener;
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    listener = g_listener;
  }
  if (listener.log == nullptr) return;
  try {
    listener.log(listener.user, static_cast<int32_t>(level), line);
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {  // a notice is no reason to fail
  }
}

}  // namespace

Status PoolOf(const ptn_pool* pool, std::shared_ptr<ThreadPool>* out) {
  return HandleTable::Global().Peek<PoolHandle>(pool, [&](PoolHandle& of) { *out = of.pool; });
}

}  // namespace pocketune::capi

using namespace pocketune;
using namespace pocketune::capi;

extern "C" {

void ptn_set_log(ptn_log_fn log, void* user) {
  {
    const std::lock_guard<std::mutex> lock(g_mutex);
    g_listener = {log, user};
  }
  SetLog(log == nullptr ? nullptr : PassOn, nullptr);
}

ptn_status ptn_pool_create(const ptn_pool_options* options, ptn_pool** out) {
  if (out == nullptr) return IsNull("pool", "out");
  *out = nullptr;
  ptn_pool_options o;
  if (const ptn_status bad = TakeOptions("pool", options, &o)) return bad;
  if (o.reserved != 0) return Fail(StatusCode::kInvalidArgument, 0, "pool: reserved is not 0");
  if (o.threads > kMaxThreads) return TooManyThreads("pool", o.threads);
  return Guarded([&] {
    Result<std::shared_ptr<ThreadPool>> pool =
        MakeThreadPool({.threads = ThreadsOrOne(o.threads), .nice = o.nice});
    if (!pool.ok()) return Tell(pool.status());
    auto object = std::make_unique<PoolHandle>();
    object->pool = std::move(pool.value());
    return GiveHandle(std::move(object), out);
  });
}

ptn_status ptn_pool_threads(ptn_pool* pool, uint32_t* out) {
  if (out == nullptr) return IsNull("pool", "out");
  std::shared_ptr<ThreadPool> threads;
  const Status found = PoolOf(pool, &threads);
  if (found.ok()) *out = static_cast<uint32_t>(ThreadsOf(*threads));
  return Tell(found, "pool");
}

ptn_status ptn_pool_free(ptn_pool* pool) { return FreeHandle<PoolHandle>(pool, "pool"); }

}  // extern "C"
