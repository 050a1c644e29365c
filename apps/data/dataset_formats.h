// The readers behind OpenDataset, one per format.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
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

  // True where the classes are numbers that the data gives, for which names can be given.
  bool numbered = false;
  std::unordered_map<std::string, int32_t> class_index;  // until SortClasses

  int64_t image_bytes() const { return int64_t{height} * width * channels; }
  // The index of a class in class_names, where it is added if it is new.
  int32_t ClassIndex(const std::string& class_name);
  // Appends pixels [n, height, width, channels] with the class of each.
  void AppendBlock(const std::string& name, Split split, const std::vector<std::string>& classes,
                   std::vector<uint8_t> pixels);
};

// In any case: train, training; val, valid, validation, dev; test, testing.
std::optional<Split> ParseSplit(std::string_view name);

// Folders that archives and file servers leave beside the user's own: never classes.
bool IsSystemFolder(std::string_view name);

// What stands at `path`, told apart by content as dataset.h says.
absl::StatusOr<DatasetContents> ReadByContent(const std::string& path);

absl::StatusOr<DatasetContents> ReadImageFolder(const std::string& root);
absl::StatusOr<DatasetContents> ReadCsv(const std::string& csv_path);
absl::StatusOr<DatasetContents> ReadNpz(const std::string& path);

enum class TableKind : uint8_t {
  kList,        // of pictures and labels
  kBrokenList,  // names pictures, but cannot be read as such a list
  kOther,
};
struct TableLook {
  TableKind kind;
  std::string why;  // it is no list, for a person
};
// What kind of table a file is, by its first rows. Errors: the file cannot be read.
absl::StatusOr<TableLook> LookAtTable(const std::string& path);

}  // namespace pocketune::data
