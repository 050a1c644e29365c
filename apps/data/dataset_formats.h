// The readers behind OpenDataset, one per format.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/data/dataset.h"

namespace pocketune::data {

// Formats held in memory are refused above this size of their pixels.
inline constexpr int64_t kMaxInMemoryBytes = int64_t{2} << 30;
inline constexpr int64_t kMaxClasses = 65536;

// Pixels u8 [n, height, width, channels] of samples [first_sample, first_sample + n).
struct PixelBlock {
  int64_t first_sample;
  std::vector<uint8_t> pixels;
};

struct DatasetContents {
  DatasetFormat format = DatasetFormat::kImageFolder;
  std::string root;  // sample names are paths below it; unused in memory
  std::vector<std::string> class_names;
  std::vector<Sample> samples;
  // Which splits the data itself names; without any, every sample is in kTrain.
  std::array<bool, kSplits> has_split = {};
  std::vector<std::string> notes;

  // In memory only.
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<PixelBlock> blocks;

  int64_t image_bytes() const { return int64_t{height} * width * channels; }
  // Appends pixels [n, height, width, channels] with one label each.
  void AppendBlock(const std::string& name, Split split, const std::vector<int32_t>& labels,
                   std::vector<uint8_t> pixels);
};

// "train", "val"/"valid"/"validation", "test".
std::optional<Split> ParseSplit(const std::string& name);

absl::StatusOr<DatasetContents> ReadImageFolder(const std::string& root);
absl::StatusOr<DatasetContents> ReadCsv(const std::string& csv_path);
absl::StatusOr<DatasetContents> ReadIdx(const std::string& directory);
absl::StatusOr<DatasetContents> ReadNpz(const std::string& path);

// What OpenDataset looks at.
bool IsIdxImagesName(const std::string& file_name);
absl::StatusOr<bool> HasCsvHeader(const std::string& path);

}  // namespace pocketune::data
