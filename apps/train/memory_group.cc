#include "apps/train/memory_group.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace pocketune {
namespace {

// Where a hierarchy of groups is mounted, and what its files are called.
struct Hierarchy {
  bool version2 = false;
  std::string group;  // of this process, a path in the hierarchy
  std::string top;    // the group that is mounted
  std::string mount;  // where
};

std::vector<std::string> Lines(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The value behind `key` in a file of lines "key value", e.g. "MemTotal:"; nothing without one.
std::optional<int64_t> ValueOf(const std::string& path, const std::string& key) {
  for (const std::string& line : Lines(path)) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t value = 0;
    if (words.size() >= 2 && words[0] == key && absl::SimpleAtoi(words[1], &value)) return value;
  }
  return std::nullopt;
}

// A file of one number; nothing for "max" and what stands for it.
std::optional<int64_t> LimitIn(const std::string& path) {
  const std::vector<std::string> lines = Lines(path);
  int64_t bytes = 0;
  if (lines.empty() || !absl::SimpleAtoi(lines[0], &bytes)) return std::nullopt;
  return bytes;
}

// The paths of mountinfo have spaces and the like as \040.
std::string Unescaped(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      plain += text[i];
      continue;
    }
    plain +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
    i += 3;
  }
  return plain;
}

bool HasController(const std::string& list) {
  const std::vector<std::string> names = absl::StrSplit(list, ',');
  return std::find(names.begin(), names.end(), "memory") != names.end();
}

// Fills in where the hierarchy is mounted; false where it is not.
bool FindMount(const std::string& root, Hierarchy* h) {
  for (const std::string& line : Lines(root + "/proc/self/mountinfo")) {
    const std::pair<std::string, std::string> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<std::string> left = absl::StrSplit(halves.first, ' ');
    const std::vector<std::string> right = absl::StrSplit(halves.second, ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    const bool match =
        h->version2 ? right[0] == "cgroup2" : right[0] == "cgroup" && HasController(right[2]);
    if (!match) continue;
    h->top = Unescaped(left[3]);
    h->mount = root + Unescaped(left[4]);
    return true;
  }
  return false;
}

// The memory hierarchy: version 1 where the controller is there, else version 2.
std::optional<Hierarchy> FindHierarchy(const std::string& root) {
  std::optional<Hierarchy> found;
  for (const std::string& line : Lines(root + "/proc/self/cgroup")) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() < 3) continue;
    Hierarchy h = {.version2 = parts[0] == "0" && parts[1].empty(), .group = parts[2]};
    if (!h.version2 && !HasController(parts[1])) continue;
    if (h.version2 && found.has_value()) continue;
    if (FindMount(root, &h)) found = std::move(h);
  }
  return found;
}

// Folders from the process's group up to the mount. A group outside of what is mounted, as in a
// container that has no view of its own, is taken for the mounted one.
std::vector<std::string> FoldersOf(const Hierarchy& h) {
  absl::string_view below = h.group;
  if (h.top != "/" && !absl::ConsumePrefix(&below, h.top)) below = "";
  std::vector<std::string> folders = {h.mount};
  for (const absl::string_view name : absl::StrSplit(below, '/', absl::SkipEmpty())) {
    if (name == "..") break;
    folders.push_back(absl::StrCat(folders.back(), "/", name));
  }
  std::reverse(folders.begin(), folders.end());
  return folders;
}

std::optional<int64_t> LimitOf(const Hierarchy& h, const std::string& folder) {
  std::optional<int64_t> limit;
  const auto take = [&limit](std::optional<int64_t> bytes) {
    if (bytes.has_value() && (!limit.has_value() || *bytes < *limit)) limit = bytes;
  };
  if (h.version2) {
    take(LimitIn(folder + "/memory.max"));
    take(LimitIn(folder + "/memory.high"));  // above it a process is slowed down to nothing
  } else {
    take(LimitIn(folder + "/memory.limit_in_bytes"));
    // Of groups above the mounted one, too.
    take(ValueOf(folder + "/memory.stat", "hierarchical_memory_limit"));
  }
  return limit;
}

}  // namespace

std::optional<MemoryGroup> FindMemoryGroup(const std::string& root) {
  const std::optional<Hierarchy> hierarchy = FindHierarchy(root);
  if (!hierarchy.has_value()) return std::nullopt;
  std::optional<MemoryGroup> tightest;
  for (const std::string& folder : FoldersOf(*hierarchy)) {
    const std::optional<int64_t> limit = LimitOf(*hierarchy, folder);
    if (!limit.has_value() || *limit <= 0) continue;
    if (tightest.has_value() && *limit >= tightest->limit_bytes) continue;
    tightest = {folder, *limit, 0};
  }
  const int64_t machine = ValueOf(root + "/proc/meminfo", "MemTotal:").value_or(0) * 1024;
  if (!tightest.has_value() || (machine > 0 && tightest->limit_bytes >= machine))
    return std::nullopt;
  const char* key = hierarchy->version2 ? "anon" : "total_rss";
  const int64_t all = ValueOf(tightest->folder + "/memory.stat", key).value_or(0);
  const int64_t own = ValueOf(root + "/proc/self/status", "RssAnon:").value_or(0) * 1024;
  tightest->others_bytes = std::max<int64_t>(0, all - own);
  return tightest;
}

}  // namespace pocketune
