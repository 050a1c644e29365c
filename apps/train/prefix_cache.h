// What frozen layers make of each picture, computed once and read back in later epochs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/data/loader.h"
#include "apps/train/row_store.h"
#include "pocketune/session.h"

namespace pocketune {

struct PrefixCacheOptions {
  std::string where = "off";  // off, auto, or the path of a file
  int64_t memory_bytes = int64_t{512} << 20;
  bool counts_upkeep = false;  // memory_bytes bounds all that the cache takes, not its rows alone
  int64_t file_bytes = int64_t{4} << 30;  // of a file that nobody asked for by name
};

// The rows of one split for one schedule (PrefixInfo of session.h). A step that starts from them
// gives the same bits as one that starts from the pictures, or the cache does not open or fill.
class PrefixCache {
 public:
  // All are borrowed and outlive the cache.
  struct Source {
    Session* session = nullptr;
    const char* schedule = "";
    const data::Dataset* dataset = nullptr;
    data::Split split = data::Split::kTrain;
    const data::Transform* transform = nullptr;
    int64_t batch = 0;
    std::shared_ptr<data::PictureCache> pictures;  // may be null
  };
  using Notes = std::function<void(const std::string&)>;

  // Rows that a picture has: in how many ways the transform may augment it. 0: too many to keep.
  static int RowsOfPicture(const data::TransformOptions& transform);
  // Memory that a cache takes beside its rows, in memory or in a file.
  static int64_t UpkeepBytes(const Source& source);
  // Does a row save more than it costs to read?
  static bool Pays(const PrefixInfo& prefix);
  // Chooses memory or a file; `own_path` is for one that nobody asked for. nullptr where there is
  // no place, or no prefix; a reason that the user should know goes to `note`.
  static std::unique_ptr<PrefixCache> Open(const Source& source, const PrefixCacheOptions& options,
                                           const std::string& own_path, const Notes& note);
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  // Computes the rows that are not there. `stop` is asked between batches: CANCELLED. After any
  // error the cache is of no use.
  absl::Status Fill(data::LoaderSize loader_size, const std::function<bool()>& stop);
  // Pictures that cannot be decoded, and why.
  const std::map<int64_t, std::string>& bad() const { return bad_; }
  // The next step of the schedule starts from the rows of the batch's samples. Errors as
  // RowStore::Get.
  absl::Status Bind(const data::Batch& batch);
  // The next step starts from pictures.
  void Unbind();
  // Deletes its file.
  void Remove() { store_->Remove(); }
  // Deletes its file unless the user named it.
  void RemoveOwnFile();

  bool in_file() const { return in_file_; }
  int64_t bytes() const { return spec_.rows * spec_.row_bytes; }
  int64_t computed() const { return computed_; }  // rows, by Fill

 private:
  PrefixCache(const Source& source, const Notes& note);
  bool UseFile(const std::string& path);
  bool UseMemory();
  absl::Status Describe();
  absl::Status FillWith(const data::Augmentation& augmentation, data::LoaderSize loader_size,
                        const std::function<bool()>& stop);
  std::vector<int64_t> ToCompute(const data::Augmentation& augmentation) const;
  absl::Status Compute(const std::vector<float>& images);
  absl::Status CheckPlaces(const data::Batch& batch);
  bool AgreesWithStored(const data::Batch& batch);
  absl::Status Keep(const data::Batch& batch);
  absl::Status KeepBlank();
  int64_t RowOf(int64_t sample, const data::Augmentation& augmentation) const;
  // Of item i of a batch.
  int64_t RowOf(const data::Batch& batch, int64_t i) const {
    return RowOf(batch.samples[i], batch.augmentations[i]);
  }

  const Source source_;
  const Notes note_;
  RowStoreSpec spec_;  // the last row is that of a blank picture, which fills short batches up
  std::unique_ptr<RowStore> store_;
  bool in_file_ = false;
  bool own_file_ = false;
  int64_t computed_ = 0;
  std::vector<data::Augmentation> ways_;   // in which each picture is kept
  std::map<int64_t, int64_t> picture_of_;  // its number, by sample
  std::map<int64_t, std::string> bad_;
  std::vector<uint8_t> rows_;  // of a batch
  std::vector<const uint8_t*> pointers_;
};

}  // namespace pocketune
