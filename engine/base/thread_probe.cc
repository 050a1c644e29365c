#include "engine/base/thread_probe.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>

namespace pocketune {
namespace {

struct Probe;

struct ProbeThread {
  Probe* probe = nullptr;
  pthread_t handle = {};
  pid_t id = 0;
};

// All threads live until the last one has been tried.
struct Probe {
  std::mutex mutex;
  std::condition_variable change;
  int started = 0;
  bool end = false;
};

void* WaitForEnd(void* argument) {
  ProbeThread* const self = static_cast<ProbeThread*>(argument);
  Probe& probe = *self->probe;
  std::unique_lock<std::mutex> lock(probe.mutex);
  self->id = static_cast<pid_t>(syscall(SYS_gettid));
  ++probe.started;
  probe.change.notify_all();
  probe.change.wait(lock, [&] { return probe.end; });
  return nullptr;
}

// A joined thread still counts against the limits until the kernel has done away with it.
void WaitUntilGone(pid_t thread) {
  constexpr int kMostTries = 20'000;
  constexpr useconds_t kNapUs = 50;
  for (int i = 0; i < kMostTries; ++i) {
    if (syscall(SYS_tgkill, getpid(), thread, 0) != 0 && errno == ESRCH) return;
    usleep(kNapUs);
  }
}

}  // namespace

int StartableThreads(int wanted) {
  if (wanted < 1) return 0;
  const std::unique_ptr<ProbeThread[]> threads(new (std::nothrow)
                                                   ProbeThread[static_cast<size_t>(wanted)]);
  if (threads == nullptr) return 0;
  Probe probe;
  int started = 0;
  for (; started < wanted; ++started) {
    ProbeThread& thread = threads[static_cast<size_t>(started)];
    thread.probe = &probe;
    if (pthread_create(&thread.handle, nullptr, WaitForEnd, &thread) != 0) break;
  }
  {
    std::unique_lock<std::mutex> lock(probe.mutex);
    probe.change.wait(lock, [&] { return probe.started == started; });
    probe.end = true;
  }
  probe.change.notify_all();
  for (int i = 0; i < started; ++i) pthread_join(threads[static_cast<size_t>(i)].handle, nullptr);
  for (int i = 0; i < started; ++i) WaitUntilGone(threads[static_cast<size_t>(i)].id);
  return started;
}

}  // namespace pocketune
