#include "apps/cli/stop_signal.h"

#include <csignal>

#include "apps/train/exit_code.h"

namespace pocketune::cli {
namespace {

std::atomic<int> g_signal{0};

void OnSignal(int signal) { g_signal.store(signal); }

}  // namespace

const std::atomic<int>& CatchStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESETHAND;  // a second Ctrl-C ends at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return g_signal;
}

absl::Status StoppedBySignal(const std::string& message) {
  return Fail(g_signal.load() == SIGTERM ? ExitCode::kTerminated : ExitCode::kInterrupted, message);
}

}  // namespace pocketune::cli
