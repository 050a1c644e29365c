// What a harness is made of. Each format has one, in <format>_fuzz.cc: it defines Seeds() and
// LLVMFuzzerTestOneInput, and runs under fuzz_main.cc or under libFuzzer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pocketune/status.h"

// Takes any bytes; always returns 0. Whatever goes wrong ends the process.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace pocketune::fuzz {

// Sound inputs that mutation starts from; the harness must accept each.
std::vector<std::string> Seeds();

// The harness calls it for an input that was taken as sound and used; the driver counts.
void Accept();
int64_t Accepted();

// Ends the process, saying what was broken, unless `holds`.
void Require(bool holds, const char* law);
// An error must have a message of one line.
void RequireOneLine(std::string_view message);
// Of a pocketune::Status or an absl::Status.
template <typename S>
void RequireGoodError(const S& status) {
  if (!status.ok()) RequireOneLine(std::string(status.message()));
}

// A nameless file that holds `bytes`; path() leads to it as long as this lives.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

inline std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

template <typename Bytes>
std::string ToString(const Bytes& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace pocketune::fuzz
