// Batches, decoded ahead of the training step on other threads, always the same ones.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/data/dataset.h"
#include "apps/data/picture_cache.h"
#include "apps/data/transform.h"

namespace pocketune::data {

// How far a loader works ahead.
struct LoaderSize {
  LoaderSize(int loader_threads, int batches = 3)  // NOLINT: most callers choose threads alone
      : threads(loader_threads), queue_batches(batches) {}
  int threads;        // 1 to 64, beside the caller's
  int queue_batches;  // batches in memory, 2 to 16: one in use, the others being filled
};

struct LoaderOptions {
  Split split = Split::kTrain;
  int64_t batch = 1;
  uint64_t seed = 0;
  // Training: a new order each epoch, random crop and flip, a bad picture is replaced. Evaluation:
  // the order of the data, no augmentation, a bad picture gets weight 0.
  bool training = true;
  // Leaves out the samples that do not fill the last batch of an epoch.
  bool drop_last = false;
  // 1 or more, beside the caller's; 64 are started at most, and fewer where the system starts no
  // more. Where it starts none, Next loads on the caller's thread.
  int threads = 1;
  int queue_batches = 3;  // batches in memory, 2 to 16: one in use, the others being filled
  // Epochs after which Next says that there is no more; 0 = never.
  int64_t epochs = 0;
  // Decoded and resized u8 pictures that are kept for the next epochs; in-memory data need none.
  int64_t cache_bytes = int64_t{256} << 20;
  // In place of a cache of its own: one shared by loaders of the same dataset whose transforms
  // differ in their second part at most.
  std::shared_ptr<PictureCache> pictures;
  // Evaluation: the same for each picture.
  Augmentation augmentation;
  // These in place of the split's samples, in this order; empty = the split's. Evaluation alone.
  std::vector<int64_t> samples;
  // Any number of bad pictures will do.
  bool tolerate_bad = false;
  // No picture is loaded and Batch::images stays empty: a sample is bad if it is listed here, with
  // the reason.
  std::optional<std::map<int64_t, std::string>> known_bad;

  // One pass over `split` in the order of the data.
  static LoaderOptions Eval(Split split, int64_t batch);
};

struct Batch {
  int64_t epoch = 0;
  int64_t index = 0;            // within the epoch
  std::vector<float> images;    // [batch, height, width, channels], normalized
  std::vector<int32_t> labels;  // [batch]
  std::vector<float> weights;   // [batch]: 1, or 0 for padding and bad pictures (image and label 0)
  std::vector<int64_t>
      samples;  // [batch]: indices into Dataset::samples(), -1 where the weight is 0
  std::vector<Augmentation> augmentations;  // [batch]
};

// A picture that could not be decoded, and why (one line naming the file).
struct SkippedSample {
  int64_t sample;
  std::string reason;
};

// Adds those of `more` whose sample is not in `*list` yet.
void AddSkipped(const std::vector<SkippedSample>& more, std::vector<SkippedSample>* list);

// What batch (epoch, index) holds depends on the dataset, the transform, seed, batch size,
// `training` and `drop_last` alone: not on the number of threads, on timing, or on where the run
// began. So a resumed run that seeks to its position sees what an uninterrupted one would have
// seen.
//
// A bad picture at position p of a training epoch is replaced by the good one that follows it in
// the order of that epoch. Bad pictures are counted once each, as their batches are delivered; when
// more than 5 % of the split (and more than one) are bad, Next fails with DATA_LOSS. A picture that
// cannot be read (UNAVAILABLE, NOT_FOUND: the disk, not the picture) fails at once.
//
// All buffers of batches are allocated by Create. One consumer thread.
class BatchLoader {
 public:
  // Borrows `dataset`, which outlives the loader. INVALID_ARGUMENT for options out of range,
  // FAILED_PRECONDITION if the split has no samples, or not one batch of them with drop_last.
  static absl::StatusOr<std::unique_ptr<BatchLoader>> Create(const Dataset* dataset,
                                                             const Transform& transform,
                                                             const LoaderOptions& options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  int64_t samples_per_epoch() const;  // without those that drop_last leaves out
  int64_t batches_per_epoch() const { return batches_per_epoch_; }

  // Threads that load; 0 where the system starts none.
  int threads() const { return static_cast<int>(threads_.size()); }

  // The next batch, waiting for it if need be; valid until the next call to Next or Seek. nullptr
  // after the last epoch. An error stays until Seek. RESOURCE_EXHAUSTED where there was too little
  // memory to load a picture.
  absl::StatusOr<const Batch*> Next();
  // Makes (epoch, index) the next batch; index in [0, batches_per_epoch()].
  void Seek(int64_t epoch, int64_t index);

  // Bad pictures in the batches delivered so far, each once, in order of appearance.
  const std::vector<SkippedSample>& skipped() const { return skipped_; }

 private:
  struct Slot;
  struct Worker;
  struct Work;

  BatchLoader(const Dataset* dataset, const Transform& transform, const LoaderOptions& options);
  void StartThreads();
  void RunWorker(Worker* worker);
  bool HasWork() const;
  Work ClaimWork();
  void DoWork(const Work& work, Worker* worker, std::unique_lock<std::mutex>* lock);
  void BeginSlot(Slot* slot, int64_t sequence);
  void FillItem(const Work& work, int64_t item, Worker* worker);
  void MaskItem(Batch* batch, int64_t item) const;
  absl::Status LoadSample(int64_t sample, Worker* worker);
  void FillOrder(int64_t epoch, std::vector<int64_t>* order) const;
  absl::Status CountSkipped(Slot* slot);
  Slot& SlotOf(int64_t sequence);

  const Dataset* const dataset_;
  const Transform transform_;
  const LoaderOptions options_;
  const std::vector<int64_t> indices_;
  int64_t batches_per_epoch_ = 0;
  int64_t end_ = 0;  // sequence number after the last batch
  std::shared_ptr<PictureCache> cache_;

  // Batches are numbered through all epochs: sequence = epoch * batches_per_epoch_ + index. Those
  // in [delivered_, delivered_ + queue) own slot sequence % queue, orders likewise by epoch.
  std::mutex mutex_;
  std::condition_variable work_available_;
  std::condition_variable work_done_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::vector<int64_t>> orders_;
  std::vector<int64_t> order_epochs_;
  int64_t delivered_ = 0;       // the oldest batch that is not released
  int64_t claim_sequence_ = 0;  // the next piece of work: this batch,
  int64_t claim_item_ = 0;      // from this item
  int64_t running_ = 0;         // pieces of work in progress
  bool paused_ = false;
  bool stop_ = false;

  // The consumer's own.
  bool holding_ = false;  // the batch delivered_ is in the caller's hands
  std::vector<SkippedSample> skipped_;
  std::set<int64_t> skipped_set_;
  std::vector<Worker> workers_;  // one a thread
  std::vector<std::thread> threads_;
};

}  // namespace pocketune::data
