#include "apps/cli/child.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "apps/cli/stop_signal.h"
#include "apps/train/exit_code.h"

namespace pocketune::cli {
namespace {

constexpr int kPollMilliseconds = 200;  // a signal that comes just before waiting is seen then

// In the child: everything that may go wrong has an exit code.
absl::StatusOr<std::string> Guarded(const std::function<absl::StatusOr<std::string>()>& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Fail(ExitCode::kLocked, "there is too little memory for this");
  } catch (const std::exception& error) {
    return Fail(ExitCode::kInternal, std::string("internal error: ") + error.what());
  }
}

bool WriteAll(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

[[noreturn]] void BeChild(int fd, pid_t parent,
                          const std::function<absl::StatusOr<std::string>()>& work) {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  if (!BelongTo(parent)) _exit(static_cast<int>(ExitCode::kInternal));
  const absl::StatusOr<std::string> result = Guarded(work);
  const int code = static_cast<int>(ExitCodeOf(result.status()));
  const bool told = WriteAll(fd, result.ok() ? *result : std::string(result.status().message()));
  _exit(told ? code : static_cast<int>(ExitCode::kInternal));
}

// Until the child closes its end; false after a signal to stop.
bool ReadAll(int fd, const std::atomic<int>& stop, std::string* text) {
  char buffer[4096];
  for (;;) {
    if (stop.load() != 0) return false;
    pollfd wait = {.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, kPollMilliseconds) <= 0) continue;
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n == 0) return true;
    if (n > 0) text->append(buffer, static_cast<size_t>(n));
    if (n < 0 && errno != EINTR) return true;
  }
}

}  // namespace

bool BelongTo(int parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::FILE* score = std::fopen("/proc/self/oom_score_adj", "w")) {
    std::fputs("1000", score);
    std::fclose(score);
  }
  return getppid() == parent;
}

absl::StatusOr<std::string> RunInChild(const std::string& what,
                                       const std::function<absl::StatusOr<std::string>()>& work) {
  const std::atomic<int>& stop = CatchStopSignals();
  int fds[2];
  if (pipe(fds) != 0) return Fail(ExitCode::kLocked, what + ": no pipe: " + std::strerror(errno));
  std::fflush(nullptr);  // what waits to be written is the parent's
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    close(fds[0]);
    BeChild(fds[1], parent, work);
  }
  const int error = errno;
  close(fds[1]);
  std::string text;
  const bool whole = child > 0 && ReadAll(fds[0], stop, &text);
  close(fds[0]);
  if (child < 0) {
    return Fail(ExitCode::kLocked, what + ": no process can be made: " + std::strerror(error));
  }
  if (!whole) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!whole) return StoppedBySignal(what + ": stopped by a signal");
  if (!WIFEXITED(status)) {
    return Fail(ExitCode::kLocked, absl::StrCat(what, ": its process was ended by signal ",
                                                WTERMSIG(status), "; is there enough memory?"));
  }
  const auto code = static_cast<ExitCode>(WEXITSTATUS(status));
  if (code != ExitCode::kDone) return Fail(code, text);
  return text;
}

}  // namespace pocketune::cli
