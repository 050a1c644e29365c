// Messages that hold what a stranger wrote.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace pocketune {

// Names come from files and may hold anything; a message is one line: control characters become C
// escapes (\n, else three octal digits).
inline std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char escape[5];
    if (c == '\n') {
      line += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      std::snprintf(escape, sizeof(escape), "\\%03o", byte);
      line += escape;
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace pocketune
