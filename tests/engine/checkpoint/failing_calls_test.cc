// Definitions that the linker takes before the C library's. The file's name makes it part of the
// test binary.
#include "tests/engine/checkpoint/failing_calls.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace pocketune::test {
namespace {

struct Failure {
  int countdown = 0;
  int error = 0;
};
Failure failures[static_cast<int>(Call::kCount)];

bool Fails(Call call) {
  Failure& failure = failures[static_cast<int>(call)];
  if (failure.countdown == 0 || --failure.countdown > 0) return false;
  errno = failure.error;
  return true;
}

}  // namespace

void FailCall(Call call, int nth, int error) { failures[static_cast<int>(call)] = {nth, error}; }

}  // namespace pocketune::test

using pocketune::test::Call;

extern "C" {
__attribute__((visibility("default"))) ssize_t pread(int fd, void* data, size_t n, off_t at) {
  return pocketune::test::Fails(Call::kRead) ? -1 : syscall(SYS_pread64, fd, data, n, at);
}
__attribute__((visibility("default"))) ssize_t write(int fd, const void* data, size_t n) {
  return pocketune::test::Fails(Call::kWrite) ? -1 : syscall(SYS_write, fd, data, n);
}
__attribute__((visibility("default"))) int fsync(int fd) {
  return pocketune::test::Fails(Call::kSync) ? -1 : static_cast<int>(syscall(SYS_fsync, fd));
}
__attribute__((visibility("default"))) int rename(const char* from, const char* to) noexcept {
  if (pocketune::test::Fails(Call::kRename)) return -1;
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
}
