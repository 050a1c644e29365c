#include "engine/base/resident_memory.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pocketune {
namespace {

// A line of /proc/self/status in bytes, e.g. "VmHWM:".
int64_t StatusBytes(const char* key) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  long kib = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, key, std::strlen(key)) == 0) {
      kib = std::atol(line + std::strlen(key));
      break;
    }
  }
  std::fclose(file);
  return int64_t{kib} * 1024;
}

}  // namespace

int64_t ResidentBytes() { return StatusBytes("VmRSS:"); }

int64_t PeakResidentBytes() { return StatusBytes("VmHWM:"); }

void RestartResidentPeak() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

}  // namespace pocketune
