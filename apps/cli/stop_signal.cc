#include "apps/cli/stop_signal.h"

#include <csignal>

#include "apps/train/exit_code.h"
#include "engine/base/clock.h"

namespace pocketune::cli {
namespace {

constexpr int kStopSignals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXCPU};
// Who closes a terminal or ends a group of processes often sends two at a time: shells repeat
// SIGHUP, timeout(1) signals the command and then its group. That is one wish.
constexpr int64_t kOneWishNs = 200'000'000;

std::atomic<int> g_signal{0};
std::atomic<int64_t> g_signal_ns{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free,
              "a signal handler may use no other");

void OnSignal(int signal) {
  const int64_t now = NowNs();
  int64_t first = 0;
  if (g_signal_ns.compare_exchange_strong(first, now)) {
    g_signal.store(signal);
  } else if (now - first > kOneWishNs && signal != SIGXCPU) {  // the system repeats that one
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // delivered once this handler returns
  }
}

}  // namespace

const std::atomic<int>& CatchStopSignals() {
  for (const int signal : kStopSignals) {
    struct sigaction before = {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
  }
  return g_signal;
}

absl::Status StoppedBySignal(const std::string& message) {
  return Fail(static_cast<ExitCode>(128 + g_signal.load()), message);
}

}  // namespace pocketune::cli
