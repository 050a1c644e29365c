// Names of parameterized tests.
#pragma once

#include <cctype>
#include <string>

namespace pocketune::test {

// `text` as GoogleTest takes it in a name: each run of characters other than letters and digits is
// one underscore, none at either end. Texts that differ may give one name, which GoogleTest
// refuses.
inline std::string TestName(const std::string& text) {
  std::string name;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  return name;
}

}  // namespace pocketune::test
