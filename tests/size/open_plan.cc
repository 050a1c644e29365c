// The runtime alone, without a kernel: opens a plan, verified like any other, and is refused at its
// first step. Its size is what the runtime itself takes (docs/small_builds.md).
#include <cstdio>

#include "pocketune/session.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto session = pocketune::Session::Open(argv[1], {});
  if (session.ok()) return 0;
  std::printf("%s (%d)\n", session.status().message(), session.status().detail());
  return 1;
}
