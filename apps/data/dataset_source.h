// The pictures of a data set as samples of a training (pocketune/sample_source.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/data/dataset.h"
#include "apps/data/picture_cache.h"
#include "apps/data/transform.h"
#include "pocketune/sample_source.h"

namespace pocketune::data {

// A picture that could not be decoded, and why (one line naming the file).
struct SkippedSample {
  int64_t sample;  // index into Dataset::samples()
  std::string reason;
};

// Adds those of `more` whose sample is not in `*list` yet.
void AddSkipped(const std::vector<SkippedSample>& more, std::vector<SkippedSample>* list);

struct DatasetSourceOptions {
  // Decoded and resized u8 pictures of training that are kept for the next epochs; in-memory data
  // need none.
  int64_t cache_bytes = int64_t{256} << 20;
  // Pictures that are not of training (evaluation, rows of frozen layers) are kept too.
  bool keeps_all = false;
};

// Sample i is the i-th picture of `split`, in the order of the data: the input "image"
// f32[height, width, channels], normalized, and "label" i32. A picture is augmented in training as
// the transform says; the plain picture and its mirror image are its variants, unless it is
// cropped. A bad picture is DATA_LOSS; one that cannot be read (the disk, not the picture)
// UNAVAILABLE or NOT_FOUND, too little memory for it RESOURCE_EXHAUSTED.
class DatasetSource final : public SampleSource {
 public:
  // Borrows `dataset`, which outlives the source.
  DatasetSource(const Dataset* dataset, const Transform& transform, Split split,
                const DatasetSourceOptions& options = {});
  ~DatasetSource() override;

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Status Load(int64_t sample, const SampleDraw& draw, std::span<SampleInput> inputs) override;
  int Variants() const override { return static_cast<int>(ways_.size()); }
  int VariantOf(int64_t sample, const SampleDraw& draw) const override;
  const char* VariantName(int variant) const override;
  Result<uint64_t> Checksum(int64_t sample) const override;
  uint64_t Identity(uint64_t seed) const override;
  const char* what() const override { return "pictures"; }
  void SetCacheBytes(int64_t bytes) override;
  void Rest() override;

  // How sample `sample` is augmented.
  Augmentation AugmentationOf(int64_t sample, const SampleDraw& draw) const;
  // Index into Dataset::samples().
  int64_t IndexOf(int64_t sample) const { return indices_[static_cast<size_t>(sample)]; }
  // What is wrong with bad samples.
  std::vector<SkippedSample> Skipped(const std::vector<int64_t>& bad) const;
  // An error that a loader or a training gave, in words: of what went wrong with `sample`, or,
  // where that is -1, of too many samples that are `bad`.
  absl::Status Explain(const Status& status, int64_t sample, const std::vector<int64_t>& bad) const;

 private:
  struct Scratch;

  absl::Status LoadPicture(int64_t index, bool keep, Scratch* scratch);
  absl::Status FillIn(int64_t sample, const SampleDraw& draw, std::span<SampleInput> inputs);
  std::unique_ptr<Scratch> TakeScratch();
  void GiveBack(std::unique_ptr<Scratch> scratch);
  std::string ReasonOf(int64_t sample) const;

  const Dataset* const dataset_;
  const Transform transform_;
  const Split split_;
  const DatasetSourceOptions options_;
  const std::vector<int64_t>& indices_;
  const std::vector<Augmentation> ways_;  // the variants
  std::unique_ptr<PictureCache> pictures_;

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> scratch_;  // that no thread uses
  std::map<int64_t, absl::Status> faults_;         // by sample
};

}  // namespace pocketune::data
