#include "engine/train/batch_loader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/math.h"
#include "engine/base/rng.h"

namespace pocketune {
namespace {

// Samples handed to a thread at a time: enough to make the lock cheap for tiny ones, few enough to
// spread the first batch over all threads.
constexpr int64_t kItemsPerPiece = 8;
constexpr double kMaxBadFraction = 0.05;
constexpr int64_t kMaxBatchBytes = int64_t{4} << 30;
// More threads find no more work: the queue's batches are cut into few pieces.
constexpr int kMostThreads = 64;

int64_t BytesOf(const PortInfo& port) { return port.shape.elems() * SizeOf(port.dtype); }

// Of one sample.
Shape WithoutBatch(const Shape& shape) { return Shape(shape.dims().subspan(1)); }

bool IsWeight(const PortInfo& port) {
  return port.role == PortRole::kSampleWeight && port.dtype == DType::kF32 &&
         port.shape.rank() == 1;
}

Status CheckInputs(const LoaderOptions& o) {
  int64_t all = 0;
  for (const PortInfo& port : o.inputs) {
    if (port.shape.rank() < 1 || port.shape[0] != o.batch) {
      return Status(StatusCode::kInvalidArgument, "loader: an input has no place for each sample");
    }
    int64_t bytes = SizeOf(port.dtype);
    for (const int64_t dim : port.shape.dims()) {
      if (dim < 0 || !CheckedMul(bytes, dim, &bytes)) bytes = kMaxBatchBytes + 1;
    }
    all = SaturatedAdd(all, bytes);
  }
  if (all <= kMaxBatchBytes) return OkStatus();
  return Status(StatusCode::kInvalidArgument, "loader: a batch has more than 4 GiB");
}

}  // namespace

// One batch of the queue. The places of the batch are written by several threads at once, each its
// own items; the rest under the loader's mutex.
struct BatchLoader::Slot {
  Batch batch;
  Pages pages;  // what the inputs lie in
  int64_t missing_items = 0;
  Status status;  // of the lowest failed item
  int64_t failed_item = 0;
  int64_t failed_sample = -1;
};

// What one thread needs to load a sample.
struct BatchLoader::Worker {
  BatchLoader* loader = nullptr;
  std::vector<SampleInput> inputs;  // all but sample weights
};

struct BatchLoader::Work {
  Slot* slot;
  const int64_t* order;
  int64_t first_item;
  int64_t end_item;
};

const BatchInput* Batch::Find(std::string_view name) const {
  for (const BatchInput& input : inputs) {
    if (input.port.name == name) return &input;
  }
  return nullptr;
}

Status BindBatch(Session& session, const Batch& batch) {
  for (const BatchInput& input : batch.inputs) {
    if (input.data == nullptr) continue;
    PT_RETURN_IF_ERROR(session.Bind(input.port.name, input.data, input.bytes));
  }
  return OkStatus();
}

void UnbindInputs(Session& session, const std::vector<PortInfo>& inputs) {
  // They are the session's own: there is nothing that could fail.
  for (const PortInfo& port : inputs) (void)session.Bind(port.name, nullptr, BytesOf(port));
}

LoaderOptions LoaderOptions::Eval(std::vector<PortInfo> inputs, int64_t batch, LoaderSize size) {
  LoaderOptions options;
  options.inputs = std::move(inputs);
  options.batch = batch;
  options.training = false;
  options.epochs = 1;
  options.size = size;
  return options;
}

Result<std::unique_ptr<BatchLoader>> BatchLoader::Create(SampleSource* source,
                                                         LoaderOptions options) {
  const LoaderOptions& o = options;
  if (o.batch < 1 || o.size.threads < 1 || o.size.queue_batches < 2 || o.size.queue_batches > 16 ||
      o.epochs < 0) {
    return Status(StatusCode::kInvalidArgument,
                  "loader: bad options (want batch >= 1, threads >= 1, queue 2 to 16)");
  }
  PT_RETURN_IF_ERROR(CheckInputs(o));
  const int64_t n = source->size();
  if (n <= 0 || (o.drop_last && n < o.batch)) {
    return Status(StatusCode::kFailedPrecondition, "loader: there are too few samples",
                  static_cast<int32_t>(n));
  }
  if (n > std::numeric_limits<uint32_t>::max()) {
    return Status(StatusCode::kInvalidArgument, "loader: there are more than 2^32 - 1 samples");
  }
  std::unique_ptr<BatchLoader> loader(new BatchLoader(source, std::move(options)));
  PT_RETURN_IF_ERROR(loader->Allocate());
  loader->StartThreads();
  return loader;
}

BatchLoader::BatchLoader(SampleSource* source, LoaderOptions options)
    : source_(source),
      options_(std::move(options)),
      count_(options_.samples.empty() ? source->size()
                                      : static_cast<int64_t>(options_.samples.size())),
      order_epochs_(static_cast<size_t>(options_.size.queue_batches), -1) {
  const int64_t batch = options_.batch;
  batches_per_epoch_ = options_.drop_last ? count_ / batch : CeilDiv(count_, batch);
  if (options_.epochs == 0 || !CheckedMul(options_.epochs, batches_per_epoch_, &end_)) {
    end_ = std::numeric_limits<int64_t>::max();
  }
}

Status BatchLoader::Allocate() {
  const int64_t queue = options_.size.queue_batches;
  int64_t order_bytes;
  if (!CheckedMul(count_, queue * int64_t{sizeof(int64_t)}, &order_bytes)) {
    return Status(StatusCode::kInvalidArgument, "loader: too many samples");
  }
  Result<Pages> orders = Pages::Allocate(order_bytes);
  if (!orders.ok()) return orders.status();
  orders_ = std::move(orders.value());
  const auto is_left_out = [&](const PortInfo& port) {
    return options_.from_rows && port.in_prefix;
  };
  for (int64_t i = 0; i < queue; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    Slot& slot = *slots_.back();
    int64_t bytes = 0;
    for (const PortInfo& port : options_.inputs) {
      slot.batch.inputs.push_back({port, nullptr, BytesOf(port)});
      if (!is_left_out(port)) bytes += AlignUp(BytesOf(port));
    }
    Result<Pages> pages = Pages::Allocate(bytes);
    if (!pages.ok()) return pages.status();
    slot.pages = std::move(pages.value());
    uint8_t* data = slot.pages.data();
    for (BatchInput& input : slot.batch.inputs) {
      if (is_left_out(input.port)) continue;
      input.data = data;
      data += AlignUp(input.bytes);
    }
    const auto batch = static_cast<size_t>(options_.batch);
    slot.batch.weights.resize(batch);
    slot.batch.samples.resize(batch);
    slot.batch.variants.resize(batch);
  }
  workers_.resize(static_cast<size_t>(std::min(options_.size.threads, kMostThreads)));
  for (Worker& worker : workers_) {
    worker.loader = this;
    for (const PortInfo& port : options_.inputs) {
      if (IsWeight(port)) continue;
      worker.inputs.push_back(
          {port.name, port.dtype, WithoutBatch(port.shape), nullptr, 0, port.role});
    }
  }
  threads_.reserve(workers_.size());
  return OkStatus();
}

// As many as the system lets us have. Where that is none, Next does the work itself.
void BatchLoader::StartThreads() {
  for (Worker& worker : workers_) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, RunThread, &worker) != 0) return;
    threads_.push_back(thread);
  }
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  work_available_.notify_all();
  for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  source_->Rest();
}

int64_t BatchLoader::samples_per_epoch() const {
  return std::min(count_, batches_per_epoch_ * options_.batch);
}

BatchLoader::Slot& BatchLoader::SlotOf(int64_t sequence) {
  return *slots_[static_cast<size_t>(sequence % options_.size.queue_batches)];
}

int64_t* BatchLoader::OrderOf(int64_t epoch) {
  return reinterpret_cast<int64_t*>(orders_.data()) + epoch % options_.size.queue_batches * count_;
}

void BatchLoader::FillOrder(int64_t epoch, int64_t* order) const {
  for (int64_t i = 0; i < count_; ++i) {
    order[i] = options_.samples.empty() ? i : options_.samples[static_cast<size_t>(i)];
  }
  if (!options_.training) return;
  const RandomStream random(options_.seed ^ HashName("shuffle"), static_cast<uint64_t>(epoch));
  for (auto i = static_cast<uint64_t>(count_); i > 1; --i) {
    std::swap(order[i - 1], order[random.Below(i, static_cast<uint32_t>(i))]);
  }
}

void BatchLoader::BeginSlot(Slot* slot, int64_t sequence) {
  slot->batch.epoch = sequence / batches_per_epoch_;
  slot->batch.index = sequence % batches_per_epoch_;
  slot->missing_items = options_.batch;
  slot->status = OkStatus();
  slot->failed_sample = -1;
  const auto i = static_cast<size_t>(slot->batch.epoch % options_.size.queue_batches);
  if (order_epochs_[i] != slot->batch.epoch) {
    FillOrder(slot->batch.epoch, OrderOf(slot->batch.epoch));
    order_epochs_[i] = slot->batch.epoch;
  }
}

// Is there room in the queue?
bool BatchLoader::HasWork() const {
  return !paused_ && claim_sequence_ < end_ &&
         claim_sequence_ - delivered_ < options_.size.queue_batches;
}

// The next piece of work, which there is.
BatchLoader::Work BatchLoader::ClaimWork() {
  Slot& slot = SlotOf(claim_sequence_);
  if (claim_item_ == 0) BeginSlot(&slot, claim_sequence_);
  const Work work = {&slot, OrderOf(slot.batch.epoch), claim_item_,
                     std::min(claim_item_ + kItemsPerPiece, options_.batch)};
  claim_item_ = work.end_item;
  if (claim_item_ == options_.batch) {
    ++claim_sequence_;
    claim_item_ = 0;
  }
  ++running_;
  return work;
}

void* BatchLoader::RunThread(void* worker) {
  auto* const self = static_cast<Worker*>(worker);
  self->loader->RunWorker(self);
  return nullptr;
}

void BatchLoader::RunWorker(Worker* worker) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_available_.wait(lock, [this] { return stop_ || HasWork(); });
    if (stop_) return;
    DoWork(ClaimWork(), worker, &lock);
  }
}

void BatchLoader::DoWork(const Work& work, Worker* worker, std::unique_lock<std::mutex>* lock) {
  lock->unlock();
  for (int64_t i = work.first_item; i < work.end_item; ++i) FillItem(work, i, worker);
  lock->lock();
  work.slot->missing_items -= work.end_item - work.first_item;
  --running_;
  if (work.slot->missing_items == 0 || running_ == 0) work_done_.notify_all();
}

void BatchLoader::MaskItem(Batch* batch, int64_t item) const {
  for (const BatchInput& input : batch->inputs) {
    if (input.data == nullptr) continue;
    const int64_t bytes = input.bytes / options_.batch;
    std::memset(input.data + item * bytes, 0, static_cast<size_t>(bytes));
  }
  const auto at = static_cast<size_t>(item);
  batch->weights[at] = 0;
  batch->samples[at] = -1;
  batch->variants[at] = 0;
}

// To the batch's place `item`.
Status BatchLoader::LoadSample(const SampleDraw& draw, int64_t sample, const Batch& batch,
                               int64_t item, Worker* worker) {
  if (options_.known_bad.count(sample) != 0) {
    return Status(StatusCode::kDataLoss, "loader: the sample is known to be bad");
  }
  auto into = worker->inputs.begin();
  for (const BatchInput& input : batch.inputs) {
    if (IsWeight(input.port)) continue;
    into->data =
        input.data == nullptr ? nullptr : input.data + item * (input.bytes / options_.batch);
    into->length = into->shape.rank() > 0 ? into->shape[0] : 1;
    ++into;
  }
  PT_RETURN_IF_ERROR(source_->Load(sample, draw, worker->inputs));
  for (const SampleInput& input : worker->inputs) {
    const int64_t full = input.shape.rank() > 0 ? input.shape[0] : 1;
    if (input.data == nullptr || input.length == full) continue;
    if (input.length < 0 || input.length > full) {
      return Status(StatusCode::kInvalidArgument, "source: a length is out of range");
    }
    const int64_t entry = input.shape.elems() * SizeOf(input.dtype) / full;
    std::memset(static_cast<uint8_t*>(input.data) + input.length * entry, 0,
                static_cast<size_t>((full - input.length) * entry));
  }
  return OkStatus();
}

// Samples that may be tried for a position of the epoch, its own first.
int64_t BatchLoader::TriesAt(int64_t position) const {
  if (position >= count_) return 0;
  return options_.training ? count_ : 1;
}

void BatchLoader::FillItem(const Work& work, int64_t item, Worker* worker) {
  Slot* slot = work.slot;
  Batch* batch = &slot->batch;
  const int64_t position = batch->index * options_.batch + item;
  const auto at = static_cast<size_t>(item);
  const SampleDraw draw = {.training = options_.training,
                           .seed = options_.seed,
                           .epoch = batch->epoch,
                           .variant = options_.training ? -1 : options_.variant};
  const int64_t tries = TriesAt(position);
  for (int64_t k = 0; k < tries; ++k) {
    const int64_t sample = work.order[(position + k) % count_];
    const Status status = LoadSample(draw, sample, *batch, item, worker);
    if (status.ok()) {
      batch->variants[at] =
          draw.training ? source_->VariantOf(sample, draw) : std::max(draw.variant, 0);
      batch->weights[at] = 1;
      batch->samples[at] = sample;
      for (const BatchInput& input : batch->inputs) {
        if (IsWeight(input.port)) reinterpret_cast<float*>(input.data)[item] = 1;
      }
      return;
    }
    if (status.code() == StatusCode::kDataLoss) continue;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (slot->status.ok() || item < slot->failed_item) {
      slot->status = status;
      slot->failed_item = item;
      slot->failed_sample = sample;
    }
    return;
  }
  MaskItem(batch, item);
}

// Which samples were passed over follows from which were taken.
Status BatchLoader::CountBad(const Slot& slot) {
  const int64_t* order = OrderOf(slot.batch.epoch);
  for (int64_t item = 0; item < options_.batch; ++item) {
    const int64_t position = slot.batch.index * options_.batch + item;
    const int64_t tries = TriesAt(position);
    for (int64_t k = 0; k < tries; ++k) {
      const int64_t sample = order[(position + k) % count_];
      if (sample == slot.batch.samples[static_cast<size_t>(item)]) break;
      if (bad_set_.insert(sample).second) bad_.push_back(sample);
    }
  }
  const auto bad = static_cast<int64_t>(bad_.size());
  if (options_.tolerate_bad) return OkStatus();
  const bool too_many =
      bad > 1 && static_cast<double>(bad) > kMaxBadFraction * static_cast<double>(count_);
  if (!too_many && bad < count_) return OkStatus();
  return Status(StatusCode::kDataLoss, "source: too many bad samples (want at most 5 %)",
                static_cast<int32_t>(bad));
}

Result<const Batch*> BatchLoader::Next() {
  std::unique_lock<std::mutex> lock(mutex_);
  failed_sample_ = -1;
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
  if (!slot.status.ok()) {
    failed_sample_ = slot.failed_sample;
    return slot.status;
  }
  PT_RETURN_IF_ERROR(CountBad(slot));
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

}  // namespace pocketune
