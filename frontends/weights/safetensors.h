// The safetensors format: an 8-byte little-endian length, a JSON header, raw data without gaps.
// https://github.com/huggingface/safetensors, "Format".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "frontends/weights/weights_file.h"

namespace pocketune {

// A file whose header has been checked: a JSON object of at most 100 MB, no duplicate names, sizes
// that agree with type and shape, data that covers the file without gap or overlap.
class SafetensorsFile : public WeightsFile {
 public:
  // InvalidArgument or DataLoss for a bad file, NotFound, Unavailable for a failed read.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  absl::StatusOr<std::vector<float>> Read(const WeightsEntry& entry) const override;
  // The texts of the header's "__metadata__", by name.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::string path_;
  int64_t data_offset_ = 0;
  std::map<std::string, std::string> metadata_;
};

struct SafetensorsTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Writes f32 tensors, in the order given, atomically. `metadata` goes into the header beside
// "format".
absl::Status WriteSafetensors(const std::string& path,
                              const std::vector<SafetensorsTensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace pocketune
