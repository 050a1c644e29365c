// Batches of a source's samples, loaded ahead of the step on other threads, always the same ones.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "engine/base/pages.h"
#include "pocketune/sample_source.h"
#include "pocketune/session.h"
#include "pocketune/status.h"

namespace pocketune {

struct LoaderOptions {
  // What a batch consists of, as Session::inputs has it: each shape begins with the batch. Sample
  // weights, which the loader fills in itself, may be among them. Names are borrowed.
  std::vector<PortInfo> inputs;
  int64_t batch = 1;
  uint64_t seed = 0;
  // Training: a new order each epoch, augmentation, a bad sample is replaced. Evaluation: the order
  // of the source, a bad sample gets weight 0.
  bool training = true;
  // Leaves out the samples that do not fill the last batch of an epoch.
  bool drop_last = false;
  LoaderSize size;
  // Epochs after which Next says that there is no more; 0 = never.
  int64_t epochs = 0;
  // Evaluation: these in place of all samples, in this order; empty = all.
  std::vector<int64_t> samples;
  // Evaluation: >= 0 for this variant of each.
  int variant = -1;
  // Any number of bad samples will do.
  bool tolerate_bad = false;
  // Rows of the frozen prefix stand in for the inputs of PortInfo::in_prefix: these are not loaded,
  // and a sample is bad if `known_bad` has it.
  bool from_rows = false;
  std::set<int64_t> known_bad;

  // One pass over all samples in their order.
  static LoaderOptions Eval(std::vector<PortInfo> inputs, int64_t batch, LoaderSize size);
};

// An input of a batch.
struct BatchInput {
  PortInfo port;
  uint8_t* data = nullptr;  // null for one that is left out
  int64_t bytes = 0;        // of the batch
};

struct Batch {
  int64_t epoch = 0;
  int64_t index = 0;               // within the epoch
  std::vector<BatchInput> inputs;  // of LoaderOptions::inputs, in their order; padding is 0
  // [batch] each. Where there is no sample: 0, -1 and 0.
  std::vector<float> weights;
  std::vector<int64_t> samples;
  std::vector<int> variants;

  const BatchInput* Find(std::string_view name) const;
};

// Binds the batch's inputs to the session; those left out are left alone.
Status BindBatch(Session& session, const Batch& batch);
// Unbinds what BindBatch binds.
void UnbindInputs(Session& session, const std::vector<PortInfo>& inputs);

// What batch (epoch, index) holds depends on the source, seed, batch size, `training` and
// `drop_last` alone: not on the number of threads, on timing, or on where the training began. So
// one that goes on at its position sees what an uninterrupted one would have seen.
//
// A bad sample at position p of a training epoch is replaced by the good one that follows it in the
// order of that epoch. Bad samples are counted once each, as their batches are delivered; when more
// than 5 % of the source (and more than one) are bad, Next fails with DATA_LOSS. Any other error of
// the source fails at once.
//
// All memory is taken by Create. One consumer thread.
class BatchLoader {
 public:
  // Borrows `source`, which outlives the loader. INVALID_ARGUMENT for options out of range,
  // FAILED_PRECONDITION if the source has no samples, or not one batch of them with drop_last
  // (detail = their number), RESOURCE_EXHAUSTED.
  static Result<std::unique_ptr<BatchLoader>> Create(SampleSource* source, LoaderOptions options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  int64_t samples_per_epoch() const;  // without those that drop_last leaves out
  int64_t batches_per_epoch() const { return batches_per_epoch_; }

  // Threads that load; 0 where the system starts none.
  int threads() const { return static_cast<int>(threads_.size()); }

  // The next batch, waiting for it if need be; valid until the next call to Next or Seek. nullptr
  // after the last epoch. An error stays until Seek.
  Result<const Batch*> Next();
  // Makes (epoch, index) the next batch; index in [0, batches_per_epoch()].
  void Seek(int64_t epoch, int64_t index);

  // Bad samples in the batches delivered so far, each once, in order of appearance.
  const std::vector<int64_t>& bad() const { return bad_; }
  // What Next failed to load; -1 where it did not fail, or because too many were bad.
  int64_t failed_sample() const { return failed_sample_; }

 private:
  struct Slot;
  struct Worker;
  struct Work;

  BatchLoader(SampleSource* source, LoaderOptions options);
  Status Allocate();
  void StartThreads();
  static void* RunThread(void* worker);
  void RunWorker(Worker* worker);
  bool HasWork() const;
  Work ClaimWork();
  void DoWork(const Work& work, Worker* worker, std::unique_lock<std::mutex>* lock);
  void BeginSlot(Slot* slot, int64_t sequence);
  void FillItem(const Work& work, int64_t item, Worker* worker);
  void MaskItem(Batch* batch, int64_t item) const;
  Status LoadSample(const SampleDraw& draw, int64_t sample, const Batch& batch, int64_t item,
                    Worker* worker);
  int64_t TriesAt(int64_t position) const;
  int64_t* OrderOf(int64_t epoch);
  void FillOrder(int64_t epoch, int64_t* order) const;
  Status CountBad(const Slot& slot);
  Slot& SlotOf(int64_t sequence);

  SampleSource* const source_;
  const LoaderOptions options_;
  const int64_t count_;  // samples that an epoch chooses from
  int64_t batches_per_epoch_ = 0;
  int64_t end_ = 0;  // sequence number after the last batch

  // Batches are numbered through all epochs: sequence = epoch * batches_per_epoch_ + index. Those
  // in [delivered_, delivered_ + queue) own slot sequence % queue, orders likewise by epoch.
  std::mutex mutex_;
  std::condition_variable work_available_;
  std::condition_variable work_done_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Pages orders_;  // [queue][count_] int64
  std::vector<int64_t> order_epochs_;
  int64_t delivered_ = 0;       // the oldest batch that is not released
  int64_t claim_sequence_ = 0;  // the next piece of work: this batch,
  int64_t claim_item_ = 0;      // from this item
  int64_t running_ = 0;         // pieces of work in progress
  bool paused_ = false;
  bool stop_ = false;

  // The consumer's own.
  bool holding_ = false;  // the batch delivered_ is in the caller's hands
  std::vector<int64_t> bad_;
  std::set<int64_t> bad_set_;
  int64_t failed_sample_ = -1;
  std::vector<Worker> workers_;  // one a thread
  std::vector<pthread_t> threads_;
};

}  // namespace pocketune
