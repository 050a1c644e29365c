#include "tests/fuzz/fuzz_target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>

// Far above what any seed needs: a larger request trusts a size that was not checked.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "max_allocation_size_mb=1024";
}

namespace pocketune::fuzz {
namespace {

int64_t accepted = 0;

}  // namespace

void Accept() { ++accepted; }
int64_t Accepted() { return accepted; }

void Require(bool holds, const char* law) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: broken: %s\n", law);
  std::abort();
}

void RequireOneLine(std::string_view message) {
  bool one_line = !message.empty();
  for (const char c : message) one_line = one_line && std::iscntrl(static_cast<uint8_t>(c)) == 0;
  if (one_line) return;
  std::fprintf(stderr, "message: \"%.*s\"\n", static_cast<int>(message.size()), message.data());
  Require(false, "an error has a message of one line");
}

MemoryFile::MemoryFile(std::string_view bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
  Require(fd_ >= 0, "memfd_create works");
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    Require(n > 0, "a memory file can be written");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  path_ = "/proc/self/fd/" + std::to_string(fd_);
}

MemoryFile::~MemoryFile() { close(fd_); }

}  // namespace pocketune::fuzz
