// The safetensors format: an 8-byte little-endian length, a JSON header, raw data without gaps.
// https://github.com/huggingface/safetensors, "Format".
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pocketune {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;           // F64, F32, F16, BF16 are readable; others are listed alone
  std::vector<int64_t> shape;  // as in the file
  int64_t begin = 0;           // bytes, from the start of the data
  int64_t end = 0;
};

// A file whose header has been checked: a JSON object of at most 100 MB, no duplicate names, sizes
// that agree with type and shape, data that covers the file without gap or overlap.
class SafetensorsFile {
 public:
  // InvalidArgument or DataLoss for a bad file, NotFound, Unavailable for a failed read.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  // nullptr where there is none of that name.
  const SafetensorsEntry* Find(const std::string& name) const;
  // Values in the file's order, converted to f32.
  absl::StatusOr<std::vector<float>> Read(const SafetensorsEntry& entry) const;

 private:
  std::string path_;
  int64_t data_offset_ = 0;
  std::vector<SafetensorsEntry> entries_;
  std::unordered_map<std::string, size_t> index_;  // of entries_, by name
};

struct SafetensorsTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Writes f32 tensors, in the order given, atomically.
absl::Status WriteSafetensors(const std::string& path,
                              const std::vector<SafetensorsTensor>& tensors);

}  // namespace pocketune
