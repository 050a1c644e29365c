// Samples for the tiny plan: points of three classes that a layer tells apart.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/rng.h"
#include "pocketune/train.h"
#include "tests/support/tiny_session.h"

namespace pocketune::test {

// `count` samples in memory; those in `bad` cannot be loaded, and `broken` ends a training.
class TinySamples final : public SampleSource {
 public:
  explicit TinySamples(int64_t count, uint64_t seed = 3) : memory_(count) {
    const RandomStream random(seed, "samples");
    for (int64_t i = 0; i < count; ++i) {
      labels_.push_back(static_cast<int32_t>(i % kTinyClasses));
      for (int f = 0; f < kTinyFeatures; ++f) {
        const float noise = random.Uniform(static_cast<uint64_t>(i * kTinyFeatures + f)) - 0.5f;
        images_.push_back(noise + (f % kTinyClasses == labels_.back() ? 1.0f : 0.0f));
      }
    }
    memory_.Add("image", std::span<const float>(images_));
    memory_.Add("label", std::span<const int32_t>(labels_));
  }

  int64_t size() const override { return memory_.size(); }
  Status Load(int64_t sample, const SampleDraw& draw, std::span<SampleInput> inputs) override {
    if (bad.count(sample) != 0) return Status(StatusCode::kDataLoss, "bad");
    if (sample == broken) return Status(StatusCode::kUnavailable, "broken", 5);
    return memory_.Load(sample, draw, inputs);
  }
  int Variants() const override { return 1; }

  std::span<const float> image(int64_t i) const {
    return std::span<const float>(images_).subspan(static_cast<size_t>(i) * kTinyFeatures,
                                                   kTinyFeatures);
  }
  std::vector<float>& images() { return images_; }
  std::vector<int32_t>& labels() { return labels_; }

  std::set<int64_t> bad;
  int64_t broken = -1;

 private:
  std::vector<float> images_;
  std::vector<int32_t> labels_;
  MemorySource memory_;
};

}  // namespace pocketune::test
