// Batches of a data set's pictures as the training library loads them: BatchLoader over
// DatasetSource.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/data/dataset_source.h"
#include "engine/train/batch_loader.h"

namespace pocketune::data {

struct PictureOptions {
  Split split = Split::kTrain;
  LoaderOptions loader;
  DatasetSourceOptions source;

  static PictureOptions Eval(Split split, int64_t batch) {
    PictureOptions options = {.split = split, .loader = {}, .source = {.cache_bytes = 0}};
    options.loader = LoaderOptions::Eval({}, batch, {});
    return options;
  }
};

// A copy of a batch.
struct PictureBatch {
  int64_t epoch = 0;
  int64_t index = 0;
  std::vector<float> images;
  std::vector<int32_t> labels;
  std::vector<float> weights;
  std::vector<int64_t> samples;
  std::vector<Augmentation> augmentations;
};

class PictureLoader {
 public:
  static absl::StatusOr<std::unique_ptr<PictureLoader>> Create(const Dataset* dataset,
                                                               const Transform& transform,
                                                               const PictureOptions& options) {
    auto source =
        std::make_shared<DatasetSource>(dataset, transform, options.split, options.source);
    return Create(std::move(source), transform, options);
  }

  static absl::StatusOr<std::unique_ptr<PictureLoader>> Create(
      std::shared_ptr<DatasetSource> source, const Transform& transform, PictureOptions options) {
    const TransformOptions& t = transform.options();
    const int64_t n = options.loader.batch;
    options.loader.inputs = {{"image",
                              {n, t.height, t.width, t.channels},
                              DType::kF32,
                              PortRole::kData,
                              /*in_prefix=*/true},
                             {"label", {n}, DType::kI32, PortRole::kLabel},
                             {"weight", {n}, DType::kF32, PortRole::kSampleWeight}};
    std::unique_ptr<PictureLoader> loader(new PictureLoader);
    loader->source_ = std::move(source);
    loader->options_ = options.loader;
    Result<std::unique_ptr<BatchLoader>> made =
        BatchLoader::Create(loader->source_.get(), options.loader);
    if (!made.ok()) {
      return absl::Status(static_cast<absl::StatusCode>(made.status().code()),
                          made.status().message());
    }
    loader->loader_ = std::move(made).value();
    return loader;
  }

  int64_t batches_per_epoch() const { return loader_->batches_per_epoch(); }
  int64_t samples_per_epoch() const { return loader_->samples_per_epoch(); }
  int threads() const { return loader_->threads(); }
  void Seek(int64_t epoch, int64_t index) { loader_->Seek(epoch, index); }
  std::vector<SkippedSample> skipped() const { return source_->Skipped(loader_->bad()); }

  // Null after the last one.
  absl::StatusOr<std::unique_ptr<PictureBatch>> Next() {
    const Result<const Batch*> next = loader_->Next();
    if (!next.ok()) {
      return source_->Explain(next.status(), loader_->failed_sample(), loader_->bad());
    }
    if (next.value() == nullptr) return nullptr;
    return std::make_unique<PictureBatch>(CopyOf(*next.value()));
  }

 private:
  PictureLoader() = default;

  template <typename T>
  static std::vector<T> ValuesOf(const BatchInput& input) {
    if (input.data == nullptr) return {};
    const T* values = reinterpret_cast<const T*>(input.data);
    return {values, values + input.port.shape.elems()};
  }

  PictureBatch CopyOf(const Batch& batch) const {
    PictureBatch copy = {batch.epoch,
                         batch.index,
                         ValuesOf<float>(*batch.Find("image")),
                         ValuesOf<int32_t>(*batch.Find("label")),
                         batch.weights,
                         batch.samples,
                         {}};
    EXPECT_EQ(ValuesOf<float>(*batch.Find("weight")), batch.weights);
    for (size_t i = 0; i < batch.samples.size(); ++i) {
      const SampleDraw draw = {.training = options_.training,
                               .seed = options_.seed,
                               .epoch = batch.epoch,
                               .variant = options_.training ? -1 : options_.variant};
      copy.augmentations.push_back(
          batch.samples[i] < 0 ? Augmentation() : source_->AugmentationOf(batch.samples[i], draw));
    }
    return copy;
  }

  std::shared_ptr<DatasetSource> source_;
  LoaderOptions options_;
  std::unique_ptr<BatchLoader> loader_;
};

}  // namespace pocketune::data
