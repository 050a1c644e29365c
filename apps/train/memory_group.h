// What the memory control group of this process (cgroup version 1 or 2) lets it have.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace pocketune {

// The tightest limit among a process's group and those around it.
struct MemoryGroup {
  std::string folder;        // of the group that has the limit
  int64_t limit_bytes = 0;   // > 0
  int64_t others_bytes = 0;  // what other processes in it hold that the system cannot take back
};

// Reads `root`/proc/self and the groups' folders below `root`, which is "" but in tests. Nothing
// where no group has a limit, where the limit is not below the machine's memory, and where the
// system does not say.
std::optional<MemoryGroup> FindMemoryGroup(const std::string& root = "");

}  // namespace pocketune
