// What a file of weights offers, whatever its format.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pocketune {

struct WeightsEntry {
  std::string name;
  std::string dtype;           // F64, F32, F16, BF16 are readable; others are listed alone
  std::vector<int64_t> shape;  // as in the file
  int64_t begin = 0;           // bytes, from the start of the data; safetensors alone
  int64_t end = 0;
};

// A file that has been opened and checked: its tensors by name.
class WeightsFile {
 public:
  virtual ~WeightsFile() = default;

  const std::vector<WeightsEntry>& entries() const { return entries_; }
  // nullptr where there is none of that name.
  const WeightsEntry* Find(const std::string& name) const;
  // Values in row order, converted to f32. UNAVAILABLE for a failed read, INVALID_ARGUMENT for a
  // type that holds no floating-point numbers or damaged data.
  virtual absl::StatusOr<std::vector<float>> Read(const WeightsEntry& entry) const = 0;

 protected:
  // False where there is one of that name.
  bool Add(WeightsEntry entry);

 private:
  std::vector<WeightsEntry> entries_;
  std::unordered_map<std::string, size_t> index_;  // of entries_, by name
};

// Bytes of one number of a safetensors type; 0 for a type that this project does not know.
int64_t BytesOfNumber(const std::string& dtype);
// Little-endian numbers as f32. False where the type holds no floating-point numbers.
bool ToFloats(const std::string& dtype, std::span<const char> raw, std::vector<float>* values);

}  // namespace pocketune
