#include "engine/base/log.h"

#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace pocketune {
namespace {

constexpr size_t kLineBytes = 256;

struct Listener {
  LogFunction log = nullptr;
  void* user = nullptr;
};

std::mutex g_mutex;
Listener g_listener;

Listener CurrentListener() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  return g_listener;
}

}  // namespace

void SetLog(LogFunction log, void* user) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  g_listener = {log, user};
}

void Log(LogLevel level, const char* format, ...) {
  // Called without the lock: it may set another one.
  const Listener listener = CurrentListener();
  if (listener.log == nullptr) return;
  char line[kLineBytes];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  listener.log(listener.user, level, line);
}

}  // namespace pocketune
