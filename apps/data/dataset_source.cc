#include "apps/data/dataset_source.h"

#include <algorithm>
#include <exception>
#include <new>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/checksum.h"

namespace pocketune::data {
namespace {

template <typename T>
void AddTo(ChecksumStream& stream, const T& value) {
  stream.Add(&value, sizeof(value));
}

// Without random crops there are two pictures at most. One that is never or always flipped has one
// variant alone.
std::vector<Augmentation> WaysOf(const TransformOptions& transform) {
  if (transform.crop_padding > 0) return {};
  std::vector<Augmentation> ways;
  for (const bool flip : {false, true}) {
    if (flip ? transform.flip_probability > 0 : transform.flip_probability < 1) {
      ways.push_back({.flip = flip});
    }
  }
  return ways;
}

// A literal for what an error is, where its words have no place.
Status ShortOf(const absl::Status& status) {
  if (status.ok()) return OkStatus();
  return Status(static_cast<StatusCode>(status.code()),
                absl::IsResourceExhausted(status) ? "there is too little memory for the pictures"
                                                  : "a picture cannot be loaded");
}

}  // namespace

// What one thread needs to load a picture.
struct DatasetSource::Scratch {
  Image image;
  TransformScratch transform;
  std::vector<uint8_t> prepared;
};

void AddSkipped(const std::vector<SkippedSample>& more, std::vector<SkippedSample>* list) {
  std::set<int64_t> there;
  for (const SkippedSample& picture : *list) there.insert(picture.sample);
  for (const SkippedSample& picture : more) {
    if (there.insert(picture.sample).second) list->push_back(picture);
  }
}

DatasetSource::DatasetSource(const Dataset* dataset, const Transform& transform, Split split,
                             const DatasetSourceOptions& options)
    : dataset_(dataset),
      transform_(transform),
      split_(split),
      options_(options),
      indices_(dataset->Indices(split)),
      ways_(WaysOf(transform.options())) {
  if (options.cache_bytes > 0 && !dataset->in_memory()) {
    pictures_ = std::make_unique<PictureCache>(dataset->samples().size(), options.cache_bytes);
  }
}

DatasetSource::~DatasetSource() = default;

// Takes the place of the cache that there is, which is empty before the first epoch.
void DatasetSource::SetCacheBytes(int64_t bytes) {
  pictures_.reset();
  const auto samples = static_cast<int64_t>(dataset_->samples().size());
  const int64_t left = bytes - samples * int64_t{sizeof(void*)};
  if (left <= 0 || options_.cache_bytes == 0 || dataset_->in_memory()) return;
  pictures_ = std::make_unique<PictureCache>(dataset_->samples().size(),
                                             std::min(left, options_.cache_bytes));
}

void DatasetSource::Rest() {
  std::vector<std::unique_ptr<Scratch>> unused;
  const std::lock_guard<std::mutex> lock(mutex_);
  unused.swap(scratch_);
}

std::unique_ptr<DatasetSource::Scratch> DatasetSource::TakeScratch() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!scratch_.empty()) {
      std::unique_ptr<Scratch> scratch = std::move(scratch_.back());
      scratch_.pop_back();
      return scratch;
    }
  }
  auto scratch = std::make_unique<Scratch>();
  scratch->prepared.resize(static_cast<size_t>(transform_.elems()));
  return scratch;
}

void DatasetSource::GiveBack(std::unique_ptr<Scratch> scratch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  scratch_.push_back(std::move(scratch));
}

Augmentation DatasetSource::AugmentationOf(int64_t sample, const SampleDraw& draw) const {
  if (draw.variant >= 0 && draw.variant < Variants()) {
    return ways_[static_cast<size_t>(draw.variant)];
  }
  return draw.training ? transform_.Draw(draw.seed, draw.epoch, IndexOf(sample)) : Augmentation();
}

int DatasetSource::VariantOf(int64_t sample, const SampleDraw& draw) const {
  if (ways_.size() < 2) return 0;
  return AugmentationOf(sample, draw).flip ? 1 : 0;
}

const char* DatasetSource::VariantName(int variant) const {
  return ways_[static_cast<size_t>(variant)].flip ? "flipped" : "";
}

Result<uint64_t> DatasetSource::Checksum(int64_t sample) const {
  const absl::StatusOr<uint64_t> checksum = dataset_->ContentChecksum(IndexOf(sample));
  if (checksum.ok()) return *checksum;
  return Status(StatusCode::kUnavailable, "a picture cannot be read");
}

uint64_t DatasetSource::Identity(uint64_t seed) const {
  const TransformOptions& transform = transform_.options();
  ChecksumStream stream;
  AddTo(stream, seed);
  AddTo(stream, kDecodingRules);
  for (const int size : {transform.height, transform.width, transform.channels,
                         transform.normalization.channels, transform.perturbation.quarter_turns}) {
    AddTo(stream, size);
  }
  AddTo(stream, transform.normalization.mean);
  AddTo(stream, transform.normalization.std);
  AddTo(stream, transform.perturbation.tone);
  if (transform.flip_probability > 0) AddTo(stream, transform.flip_probability < 1);
  return stream.Value();
}

absl::Status DatasetSource::LoadPicture(int64_t index, bool keep, Scratch* scratch) {
  PictureCache* cache = keep ? pictures_.get() : nullptr;
  if (cache != nullptr && cache->Get(index, &scratch->prepared)) return absl::OkStatus();
  absl::Status status = dataset_->DecodeImage(index, transform_.decode_hint(), &scratch->image);
  if (!status.ok()) return status;
  transform_.Prepare(scratch->image, &scratch->transform, scratch->prepared);
  if (cache != nullptr) cache->Put(index, scratch->prepared);
  return absl::OkStatus();
}

absl::Status DatasetSource::FillIn(int64_t sample, const SampleDraw& draw,
                                   std::span<SampleInput> inputs) {
  const int64_t index = IndexOf(sample);
  for (SampleInput& input : inputs) {
    if (input.data == nullptr) continue;
    if (input.role == PortRole::kLabel && input.dtype == DType::kI32 && input.shape.elems() == 1) {
      input.values<int32_t>()[0] = dataset_->samples()[static_cast<size_t>(index)].label;
    } else if (input.role == PortRole::kData && input.dtype == DType::kF32 &&
               input.shape.elems() == transform_.elems()) {
      std::unique_ptr<Scratch> scratch = TakeScratch();
      const bool keep = options_.keeps_all || (draw.training && draw.variant < 0);
      absl::Status status = LoadPicture(index, keep, scratch.get());
      if (status.ok()) {
        transform_.Finish(scratch->prepared, AugmentationOf(sample, draw), input.values<float>());
      }
      GiveBack(std::move(scratch));
      if (!status.ok()) return status;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("the plan's input ", std::string(input.name), " is none of pictures"));
    }
  }
  return absl::OkStatus();
}

// What is thrown, for want of memory most likely, must not end the thread, and with it the process.
Status DatasetSource::Load(int64_t sample, const SampleDraw& draw, std::span<SampleInput> inputs) {
  try {
    absl::Status status;
    try {
      status = FillIn(sample, draw, inputs);
      if (status.ok()) return OkStatus();
    } catch (const std::bad_alloc&) {
      status = absl::ResourceExhaustedError("loader: there is too little memory for the pictures");
    } catch (const std::exception& error) {
      status = absl::InternalError(absl::StrCat("loader: ", error.what()));
    } catch (...) {
      status = absl::InternalError("loader: an exception of an unknown type");
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    faults_[sample] = status;
    return ShortOf(status);
  } catch (...) {  // there is no memory for the words either
    return Status(StatusCode::kResourceExhausted, "there is too little memory for the pictures");
  }
}

std::string DatasetSource::ReasonOf(int64_t sample) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto fault = faults_.find(sample);
  if (fault != faults_.end()) return std::string(fault->second.message());
  return absl::StrCat(dataset_->samples()[static_cast<size_t>(IndexOf(sample))].name,
                      ": cannot be decoded");
}

std::vector<SkippedSample> DatasetSource::Skipped(const std::vector<int64_t>& bad) const {
  std::vector<SkippedSample> skipped;
  for (const int64_t sample : bad) skipped.push_back({IndexOf(sample), ReasonOf(sample)});
  return skipped;
}

absl::Status DatasetSource::Explain(const Status& status, int64_t sample,
                                    const std::vector<int64_t>& bad) const {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.code());
  if (sample >= 0) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto fault = faults_.find(sample);
    if (fault != faults_.end() && fault->second.code() == code) return fault->second;
  }
  if (status.code() == StatusCode::kDataLoss && sample < 0 && !bad.empty()) {
    return absl::DataLossError(absl::StrFormat(
        "split %s: too many bad pictures (got %d of %d, want at most 5 %%); first %s",
        NameOf(split_), bad.size(), size(), ReasonOf(bad.front())));
  }
  return absl::Status(code, absl::StrCat("loader: ", status.message()));
}

}  // namespace pocketune::data
