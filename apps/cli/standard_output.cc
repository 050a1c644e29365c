#include "apps/cli/standard_output.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "apps/train/exit_code.h"

namespace pocketune::cli {
namespace {
std::atomic<int> first_error = 0;  // an errno; stdio remembers that it failed, but not why
}

bool WriteStandardOutput(const std::string& text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (std::fflush(stdout) == 0 && written) return true;
  int none = 0;
  first_error.compare_exchange_strong(none, errno != 0 ? errno : EIO);
  return false;
}

absl::Status StandardOutputStatus() {
  const int error = first_error;
  if (error == 0 || error == EPIPE) return absl::OkStatus();
  return Fail(ExitCode::kIo,
              std::string("standard output: cannot be written: ") + std::strerror(error));
}

}  // namespace pocketune::cli
