#include "apps/data/loader.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/math.h"
#include "engine/base/rng.h"

namespace pocketune::data {
namespace {

// Samples handed to a thread at a time: enough to make the lock cheap for tiny pictures, few enough
// to spread the first batch over all threads.
constexpr int64_t kItemsPerPiece = 8;
constexpr double kMaxBadFraction = 0.05;
constexpr int64_t kMaxBatchBytes = int64_t{4} << 30;
// More threads find no more work: the queue's batches are cut into few pieces.
constexpr int kMostThreads = 64;

absl::Status StatusOf(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("loader: there is too little memory for the pictures");
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("loader: ", error.what()));
  } catch (...) {
    return absl::InternalError("loader: an exception of an unknown type");
  }
}

}  // namespace

// One batch of the queue. The vectors of the batch are written by several threads at once, each its
// own items; the rest under the loader's mutex.
struct BatchLoader::Slot {
  struct Bad {
    int64_t item;
    SkippedSample sample;
  };
  Batch batch;
  int64_t missing_items = 0;
  std::vector<Bad> bad;
  absl::Status status;  // of the lowest failed item
  int64_t failed_item = 0;
  std::exception_ptr thrown;  // by the work on any item
};

// What one thread needs to load a sample.
struct BatchLoader::Worker {
  Image image;
  TransformScratch scratch;
  std::vector<uint8_t> prepared;
};

struct BatchLoader::Work {
  Slot* slot;
  const std::vector<int64_t>* order;
  int64_t first_item;
  int64_t end_item;
};

void AddSkipped(const std::vector<SkippedSample>& more, std::vector<SkippedSample>* list) {
  std::set<int64_t> there;
  for (const SkippedSample& picture : *list) there.insert(picture.sample);
  for (const SkippedSample& picture : more) {
    if (there.insert(picture.sample).second) list->push_back(picture);
  }
}

LoaderOptions LoaderOptions::Eval(Split split, int64_t batch) {
  LoaderOptions options;
  options.split = split;
  options.batch = batch;
  options.training = false;
  options.epochs = 1;
  options.cache_bytes = 0;
  return options;
}

absl::StatusOr<std::unique_ptr<BatchLoader>> BatchLoader::Create(const Dataset* dataset,
                                                                 const Transform& transform,
                                                                 const LoaderOptions& o) {
  int64_t batch_bytes;
  if (o.batch < 1 ||
      !CheckedMul(o.batch, transform.elems() * int64_t{sizeof(float)}, &batch_bytes) ||
      batch_bytes > kMaxBatchBytes || o.threads < 1 || o.queue_batches < 2 ||
      o.queue_batches > 16 || o.epochs < 0 || o.cache_bytes < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "loader: bad options (got batch ", o.batch, ", threads ", o.threads, ", queue ",
        o.queue_batches, ", epochs ", o.epochs, ", cache ", o.cache_bytes,
        ", want batch >= 1 and at most 4 GiB, threads >= 1, queue 2 to 16, others >= 0)"));
  }
  const int64_t n = int64_t(dataset->Indices(o.split).size());
  if (n == 0 || (o.drop_last && n < o.batch)) {
    return absl::FailedPreconditionError(
        absl::StrCat("loader: too few samples in split ", NameOf(o.split), " (got ", n,
                     ", want at least ", o.drop_last ? o.batch : 1, ")"));
  }
  return std::unique_ptr<BatchLoader>(new BatchLoader(dataset, transform, o));
}

BatchLoader::BatchLoader(const Dataset* dataset, const Transform& transform,
                         const LoaderOptions& options)
    : dataset_(dataset),
      transform_(transform),
      options_(options),
      indices_(options.samples.empty() ? dataset->Indices(options.split) : options.samples),
      orders_(options.queue_batches),
      order_epochs_(options.queue_batches, -1) {
  const int64_t n = int64_t(indices_.size()), batch = options_.batch;
  batches_per_epoch_ = options_.drop_last ? n / batch : CeilDiv(n, batch);
  if (options_.epochs == 0 || !CheckedMul(options_.epochs, batches_per_epoch_, &end_)) {
    end_ = std::numeric_limits<int64_t>::max();
  }
  const bool loads = !options_.known_bad.has_value();
  if (loads && !dataset_->in_memory()) {
    cache_ = options_.pictures;
    if (cache_ == nullptr && options_.cache_bytes > 0) {
      cache_ = std::make_shared<PictureCache>(dataset_->samples().size(), options_.cache_bytes);
    }
  }
  for (int i = 0; i < options_.queue_batches; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    Batch& b = slots_.back()->batch;
    if (loads) b.images.resize(batch * transform_.elems());
    b.labels.resize(batch);
    b.weights.resize(batch);
    b.samples.resize(batch);
    b.augmentations.resize(batch);
    orders_[i].resize(n);
  }
  const int workers = std::min(options_.threads, kMostThreads);
  workers_.resize(workers);
  for (Worker& worker : workers_) {
    if (loads) worker.prepared.resize(transform_.elems());
  }
  StartThreads();
}

// As many as the system lets us have. Where that is none, Next does the work itself.
void BatchLoader::StartThreads() {
  threads_.reserve(workers_.size());
  try {
    for (Worker& worker : workers_) {
      threads_.emplace_back([this, &worker] { RunWorker(&worker); });
    }
  } catch (const std::exception&) {  // system_error, or bad_alloc for what a thread is given
  }
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  work_available_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

int64_t BatchLoader::samples_per_epoch() const {
  return std::min(int64_t(indices_.size()), batches_per_epoch_ * options_.batch);
}

BatchLoader::Slot& BatchLoader::SlotOf(int64_t sequence) {
  return *slots_[sequence % options_.queue_batches];
}

void BatchLoader::FillOrder(int64_t epoch, std::vector<int64_t>* order) const {
  std::copy(indices_.begin(), indices_.end(), order->begin());
  if (!options_.training) return;
  const RandomStream random(options_.seed ^ HashName("shuffle"), uint64_t(epoch));
  for (size_t i = order->size(); i > 1; --i) {
    std::swap((*order)[i - 1], (*order)[random.Below(i, uint32_t(i))]);
  }
}

void BatchLoader::BeginSlot(Slot* slot, int64_t sequence) {
  slot->batch.epoch = sequence / batches_per_epoch_;
  slot->batch.index = sequence % batches_per_epoch_;
  slot->missing_items = options_.batch;
  slot->bad.clear();
  slot->status = absl::OkStatus();
  slot->thrown = nullptr;
  const size_t i = size_t(slot->batch.epoch % options_.queue_batches);
  if (order_epochs_[i] != slot->batch.epoch) {
    FillOrder(slot->batch.epoch, &orders_[i]);
    order_epochs_[i] = slot->batch.epoch;
  }
}

// Is there room in the queue?
bool BatchLoader::HasWork() const {
  return !paused_ && claim_sequence_ < end_ &&
         claim_sequence_ - delivered_ < options_.queue_batches;
}

// The next piece of work, which there is.
BatchLoader::Work BatchLoader::ClaimWork() {
  Slot& slot = SlotOf(claim_sequence_);
  if (claim_item_ == 0) BeginSlot(&slot, claim_sequence_);
  const Work work = {&slot, &orders_[slot.batch.epoch % options_.queue_batches], claim_item_,
                     std::min(claim_item_ + kItemsPerPiece, options_.batch)};
  claim_item_ = work.end_item;
  if (claim_item_ == options_.batch) {
    ++claim_sequence_;
    claim_item_ = 0;
  }
  ++running_;
  return work;
}

void BatchLoader::RunWorker(Worker* worker) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_available_.wait(lock, [this] { return stop_ || HasWork(); });
    if (stop_) return;
    DoWork(ClaimWork(), worker, &lock);
  }
}

// What is thrown, for want of memory most likely, must not end the thread, and with it the process:
// it goes to the consumer, with the batch.
void BatchLoader::DoWork(const Work& work, Worker* worker, std::unique_lock<std::mutex>* lock) {
  lock->unlock();
  std::exception_ptr thrown;
  try {
    for (int64_t i = work.first_item; i < work.end_item; ++i) FillItem(work, i, worker);
  } catch (...) {
    thrown = std::current_exception();
  }
  lock->lock();
  if (thrown != nullptr) work.slot->thrown = thrown;
  work.slot->missing_items -= work.end_item - work.first_item;
  --running_;
  if (work.slot->missing_items == 0 || running_ == 0) work_done_.notify_all();
}

void BatchLoader::MaskItem(Batch* batch, int64_t item) const {
  if (!batch->images.empty()) {
    const int64_t elems = transform_.elems();
    std::fill_n(batch->images.begin() + item * elems, elems, 0.0f);
  }
  batch->labels[item] = 0;
  batch->weights[item] = 0;
  batch->samples[item] = -1;
  batch->augmentations[item] = {};
}

absl::Status BatchLoader::LoadSample(int64_t sample, Worker* worker) {
  if (options_.known_bad.has_value()) {
    const auto bad = options_.known_bad->find(sample);
    return bad == options_.known_bad->end() ? absl::OkStatus() : absl::DataLossError(bad->second);
  }
  if (cache_ != nullptr && cache_->Get(sample, &worker->prepared)) return absl::OkStatus();
  absl::Status status = dataset_->DecodeImage(sample, transform_.decode_hint(), &worker->image);
  if (!status.ok()) return status;
  transform_.Prepare(worker->image, &worker->scratch, worker->prepared);
  if (cache_ != nullptr) cache_->Put(sample, worker->prepared);
  return absl::OkStatus();
}

void BatchLoader::FillItem(const Work& work, int64_t item, Worker* worker) {
  Slot* slot = work.slot;
  Batch* batch = &slot->batch;
  const int64_t n = int64_t(work.order->size());
  const int64_t position = batch->index * options_.batch + item;
  const int64_t elems = transform_.elems();
  const int64_t tries = position >= n ? 0 : options_.training ? n : 1;
  for (int64_t k = 0; k < tries; ++k) {
    const int64_t sample = (*work.order)[(position + k) % n];
    const absl::Status status = LoadSample(sample, worker);
    if (status.ok()) {
      const Augmentation augmentation = options_.training
                                            ? transform_.Draw(options_.seed, batch->epoch, sample)
                                            : options_.augmentation;
      if (!batch->images.empty()) {
        transform_.Finish(worker->prepared, augmentation,
                          {batch->images.data() + item * elems, size_t(elems)});
      }
      batch->augmentations[item] = augmentation;
      batch->labels[item] = dataset_->samples()[sample].label;
      batch->weights[item] = 1;
      batch->samples[item] = sample;
      return;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!absl::IsDataLoss(status)) {
      if (slot->status.ok() || item < slot->failed_item) {
        slot->status = status;
        slot->failed_item = item;
      }
      return;
    }
    slot->bad.push_back({item, {sample, std::string(status.message())}});
  }
  MaskItem(batch, item);
}

absl::Status BatchLoader::CountSkipped(Slot* slot) {
  std::stable_sort(slot->bad.begin(), slot->bad.end(),
                   [](const Slot::Bad& a, const Slot::Bad& b) { return a.item < b.item; });
  for (Slot::Bad& bad : slot->bad) {
    if (skipped_set_.insert(bad.sample.sample).second) skipped_.push_back(std::move(bad.sample));
  }
  slot->bad.clear();
  const int64_t bad = int64_t(skipped_.size()), n = int64_t(indices_.size());
  if (options_.tolerate_bad) return absl::OkStatus();
  const bool too_many = bad > 1 && double(bad) > kMaxBadFraction * double(n);
  if (!too_many && bad < n) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("split %s: too many bad pictures (got %d of %d, want at most 5 %%); first %s",
                      NameOf(options_.split), bad, n, skipped_.front().reason));
}

absl::StatusOr<const Batch*> BatchLoader::Next() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (holding_) {
    holding_ = false;
    ++delivered_;
    work_available_.notify_all();
  }
  if (delivered_ >= end_) return nullptr;
  Slot& slot = SlotOf(delivered_);
  const auto done = [&] { return claim_sequence_ > delivered_ && slot.missing_items == 0; };
  while (threads_.empty() && !done()) DoWork(ClaimWork(), &workers_.front(), &lock);
  work_done_.wait(lock, done);
  if (slot.thrown != nullptr) return StatusOf(slot.thrown);
  if (!slot.status.ok()) return slot.status;
  if (absl::Status s = CountSkipped(&slot); !s.ok()) return s;
  holding_ = true;
  return &slot.batch;
}

void BatchLoader::Seek(int64_t epoch, int64_t index) {
  PT_CHECK(epoch >= 0 && index >= 0 && index <= batches_per_epoch_);
  std::unique_lock<std::mutex> lock(mutex_);
  paused_ = true;
  work_done_.wait(lock, [this] { return running_ == 0; });
  paused_ = false;
  holding_ = false;
  delivered_ = claim_sequence_ = epoch * batches_per_epoch_ + index;
  claim_item_ = 0;
  work_available_.notify_all();
}

}  // namespace pocketune::data
