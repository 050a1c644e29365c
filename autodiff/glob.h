// Patterns over parameter names.
#pragma once

#include <fnmatch.h>

#include <string>

namespace pocketune {

// POSIX fnmatch without flags: '*' takes any characters, '.' and '/' included, '?' one, "[0-9]" one
// of a set. The whole name must match.
inline bool MatchesGlob(const std::string& pattern, const std::string& name) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

}  // namespace pocketune
