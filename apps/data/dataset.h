// A user's labelled pictures, whatever they are stored in.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/data/image.h"

namespace pocketune::data {

enum class Split : uint8_t { kTrain = 0, kVal = 1, kTest = 2 };
inline constexpr int kSplits = 3;
const char* NameOf(Split split);  // "train", "val", "test"

struct Sample {
  std::string name;  // path below the dataset's root, or "<array>[<index>]" for one in memory
  int32_t label;     // index into class_names()
  Split split;
};

struct DatasetOptions {
  // Decides the splits where the data names none, and which samples the limits below keep.
  uint64_t seed = 0;
  // Of each class, rounded to nearest; at least one picture of a class stays for training. Used
  // where the data has no splits; where it has a test but no validation split, validation is taken
  // from training. Each 0 to 0.9, together at most 0.9.
  double val_fraction = 0.1;
  double test_fraction = 0.2;
  // At most this many samples of each class in training, and in validation and test each; 0 = all.
  int64_t max_train_per_class = 0;
  int64_t max_eval_per_class = 0;
  // Names for the numbered classes of IDX and NPZ, by label from 0; empty = the labels that occur,
  // named by their numbers.
  std::vector<std::string> class_names;
  // The classes that a run learned, in its order; empty = those of the data. The data's are matched
  // to them by name: those that the data lacks have no samples, others are an error.
  std::vector<std::string> known_classes;
};

enum class DatasetFormat : uint8_t { kImageFolder, kCsv, kIdx, kNpz };
const char* NameOf(DatasetFormat format);  // "image folder", "csv", "idx", "npz"

struct DatasetContents;  // what the readers of the formats fill in: dataset_formats.h

// Immutable after opening; all methods may be called from any thread.
class Dataset {
 public:
  Dataset(std::unique_ptr<DatasetContents> contents, const DatasetOptions& options);
  ~Dataset();

  DatasetFormat format() const;
  const std::vector<std::string>& class_names() const;
  const std::vector<Sample>& samples() const;
  // Indices into samples(), in the order of the data, after the limits per class.
  const std::vector<int64_t>& Indices(Split split) const { return indices_[int(split)]; }
  // Samples of each class in Indices(split).
  std::vector<int64_t> CountPerClass(Split split) const;
  // One line each: class imbalance (largest over smallest > 10 in training), a single class,
  // classes that training or a given split lacks, what was mended or left out, how pixels were read
  // and splits made.
  const std::vector<std::string>& notes() const { return notes_; }

  // Does the data itself name this split? Where it names none, the options made them.
  bool names_split(Split split) const;
  // True if the pixels are held in memory as u8: decoding is a copy.
  bool in_memory() const;
  // Decodes sample `index` of samples(). Errors: DATA_LOSS for a bad picture, UNAVAILABLE or
  // NOT_FOUND where it cannot be read. Allocates only where `*out` is too small, or for the file's
  // bytes.
  absl::Status DecodeImage(int64_t index, const DecodeHint& hint, Image* out) const;
  // Where sample `index` is read from; in memory nowhere.
  std::string PathOf(int64_t index) const;
  // Memory that the opened data take: pixels, names, labels, lists.
  int64_t HeldBytes() const;
  // Checksum of what sample `index` is decoded from: its file's bytes, or its pixels in memory.
  // UNAVAILABLE or NOT_FOUND where it cannot be read.
  absl::StatusOr<uint64_t> ContentChecksum(int64_t index) const;
  // Tells the data from data that have changed: of the classes' names and of each sample's name,
  // label, split and size in bytes (one that is not there counts as such), in memory of its pixels.
  uint64_t Fingerprint() const;

 private:
  std::span<const uint8_t> PixelsOf(int64_t index) const;
  void AssignSplits(const DatasetOptions& options);
  void BuildIndices(const DatasetOptions& options);
  void AddMissingClassNotes();
  void AddBalanceNotes();

  std::unique_ptr<DatasetContents> contents_;
  std::array<std::vector<int64_t>, kSplits> indices_;
  std::vector<std::string> notes_;
};

// Opens what stands at `path`, told apart by content, in this order (docs/data.md has the rules):
//   a file that begins as a zip archive, or a folder of one such .npz and no folders: NPZ;
//   a table, or the only one of a folder, whose header names files and labels: CSV;
//   a folder with IDX files, in folders of their own too where these hold no pictures: IDX;
//   any other folder: pictures, one subfolder per class, below split folders where present.
// Errors: NOT_FOUND, UNAVAILABLE (cannot be read), DATA_LOSS or INVALID_ARGUMENT (not such data).
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const std::string& path,
                                                     const DatasetOptions& options);

}  // namespace pocketune::data
