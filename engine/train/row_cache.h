// What frozen layers make of each sample, computed once and read back in later epochs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/train/batch_loader.h"
#include "engine/train/row_store.h"
#include "pocketune/sample_source.h"
#include "pocketune/session.h"
#include "pocketune/train.h"

namespace pocketune {

// The rows of one source for one schedule. A step that starts from them gives the same bits as one
// that starts from the samples, or the cache does not open or fill.
class RowCache {
 public:
  // All are borrowed and outlive the cache.
  struct Source {
    Session* session = nullptr;
    const char* schedule = "";
    SampleSource* samples = nullptr;
    const char* name = "";  // of the samples among others, for notes: "train"
    int64_t batch = 0;
  };
  using Notes = std::function<void(const std::string&)>;

  // Memory that a cache takes beside its rows, in memory or in a file.
  static int64_t UpkeepBytes(const Source& source);
  // Does a row save more than it costs to read?
  static bool Pays(const PrefixInfo& prefix);
  // Chooses memory or a file as `options` say. nullptr where there is no place, or no prefix; a
  // reason that the user should know goes to `note`.
  static std::unique_ptr<RowCache> Open(const Source& source, const RowCacheOptions& options,
                                        const Notes& note);
  ~RowCache();
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  // Computes the rows that are not there. `stop` is asked between batches: CANCELLED. After any
  // error the cache is of no use.
  Status Fill(LoaderSize loader_size, const std::function<bool()>& stop);
  // Samples that the source found bad.
  const std::set<int64_t>& bad() const { return bad_; }
  // The next step of the schedule starts from the rows of the batch's samples. Errors as
  // RowStore::Get.
  Status Bind(const Batch& batch);
  // The next step starts from samples.
  void Unbind();
  // Deletes its file.
  void Remove() { store_->Remove(); }
  // Deletes its file unless the user named it.
  void RemoveOwnFile();

  bool in_file() const { return in_file_; }
  int64_t bytes() const { return spec_.rows * spec_.row_bytes; }
  int64_t computed() const { return computed_; }  // rows, by Fill
  // An error of this cache, for a note.
  std::string TextOf(const Status& status) const;

 private:
  RowCache(const Source& source, const Notes& note);
  bool UseFile(const std::string& path);
  bool UseMemory();
  Status Describe();
  Status FillWith(int variant, LoaderSize loader_size, const std::function<bool()>& stop);
  std::vector<int64_t> ToCompute(int variant) const;
  // One pointer for each of inputs_, to a batch of it.
  Status Compute(const std::vector<const uint8_t*>& data);
  Status Compute(const Batch& batch);
  Status CheckPlaces(const Batch& batch);
  bool AgreesWithStored(const Batch& batch);
  Status Keep(const Batch& batch);
  Status KeepBlank();
  int64_t RowOf(int64_t sample, int variant) const {
    return sample < 0 ? spec_.rows - 1 : sample * variants_ + variant;
  }
  // Of item i of a batch.
  int64_t RowOf(const Batch& batch, int64_t i) const {
    return RowOf(batch.samples[static_cast<size_t>(i)], batch.variants[static_cast<size_t>(i)]);
  }
  uint8_t* RowAt(int64_t i) { return &rows_[static_cast<size_t>(i * spec_.row_bytes)]; }

  const Source source_;
  const Notes note_;
  const int variants_;                  // that each sample is kept in
  const std::vector<PortInfo> inputs_;  // of the role kData: what a prefix may begin with
  RowStoreSpec spec_;  // the last row is that of a blank sample, which fills short batches up
  std::unique_ptr<RowStore> store_;
  std::string path_;
  bool in_file_ = false;
  bool own_file_ = false;
  int64_t computed_ = 0;
  std::set<int64_t> bad_;
  std::vector<uint8_t> rows_;  // of a batch
  std::vector<const uint8_t*> pointers_;
};

}  // namespace pocketune
