// What a refusal for want of memory says.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace pocketune::test {

// The number of bytes that a refusal for want of memory names as enough.
inline int64_t SmallestIn(const std::string& err) {
  const std::string want = "want at least ";
  const size_t at = err.rfind(want);
  EXPECT_NE(at, std::string::npos) << err;
  return at == std::string::npos ? 0 : std::stoll(err.substr(at + want.size()));
}

}  // namespace pocketune::test
