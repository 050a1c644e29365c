// What holds of any dataset that opens.
#pragma once

#include <algorithm>
#include <memory>

#include "apps/data/dataset.h"
#include "tests/fuzz/fuzz_target.h"

namespace pocketune::fuzz {

// Opens what stands at `path`, checks it, decodes some of its pictures; accepts if it opens.
inline void OpenAndCheck(const std::string& path) {
  constexpr int64_t kDecoded = 16;
  data::DatasetOptions options;
  options.max_eval_per_class = 5;
  const absl::StatusOr<std::unique_ptr<data::Dataset>> opened = data::OpenDataset(path, options);
  RequireGoodError(opened.status());
  if (!opened.ok()) return;
  const data::Dataset& dataset = **opened;
  const int64_t samples = static_cast<int64_t>(dataset.samples().size());
  const int32_t classes = static_cast<int32_t>(dataset.class_names().size());
  for (const data::Sample& sample : dataset.samples()) {
    Require(sample.label >= 0 && sample.label < classes, "a label is one of the classes");
  }
  for (int split = 0; split < data::kSplits; ++split) {
    for (const int64_t i : dataset.Indices(data::Split(split))) {
      Require(i >= 0 && i < samples, "a split holds samples");
    }
    (void)dataset.CountPerClass(data::Split(split));
  }
  for (const std::string& note : dataset.notes()) RequireOneLine(note);
  for (int64_t i = 0; i < std::min(samples, kDecoded); ++i) {
    data::Image image;
    const absl::Status status = dataset.DecodeImage(i, {}, &image);
    RequireGoodError(status);
    Require(
        !status.ok() || image.pixels.size() == size_t(image.height) * image.width * image.channels,
        "a decoded picture is whole");
  }
  Accept();
}

}  // namespace pocketune::fuzz
