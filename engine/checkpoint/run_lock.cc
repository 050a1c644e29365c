#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "pocketune/checkpoint.h"

namespace pocketune {

Result<RunLock> RunLock::Acquire(const std::string& folder) {
  const int fd = open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Status(StatusCode::kUnavailable, "opening a run folder's lock failed", errno);
  RunLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return Status(StatusCode::kFailedPrecondition, "the run folder is in use");
    }
    return Status(StatusCode::kUnavailable, "locking a run folder failed", errno);
  }
  for (const char* name : {"/checkpoint-a.tmp", "/checkpoint-b.tmp"}) {
    unlink((folder + name).c_str());
  }
  return lock;
}

RunLock::RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace pocketune
