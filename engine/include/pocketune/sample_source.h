// What a training learns from: samples by number, loaded when they are needed.
//
// A training pulls. It asks its source for sample 17, tells it where in the batch each input of
// that sample goes, and the source writes it there: pixels, tokens, sound, readings of sensors, of
// any number of inputs and of every element type that the plan has. Which samples come when, in
// which batch and how often is the training's business (train.h), so a source needs no state of its
// own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pocketune/status.h"
#include "pocketune/types.h"

namespace pocketune {

// One input of the plan, for one sample, to be filled in by a source.
struct SampleInput {
  std::string_view name;  // of the plan's input: "image", "label", "tokens"; what for says `role`
  DType dtype = DType::kF32;
  // Of one sample: the input's without its first dimension, the batch. A label has rank 0.
  Shape shape;
  // shape.elems() elements in row-major order, aligned to their own size, which hold anything
  // before the call. Null where nobody reads this input this time: it need not be made then.
  void* data = nullptr;
  // How many entries of the first dimension were written. All, unless the source says less: the
  // rest is then made zero. So a sentence of 9 tokens fits a plan that takes 32; the plan learns of
  // its length by another input, which the source fills in too.
  int64_t length = 0;
  PortRole role = PortRole::kData;

  // The elements as T, which has the size of `dtype`.
  template <typename T>
  std::span<T> values() const {
    return {static_cast<T*>(data), static_cast<size_t>(shape.elems())};
  }
};

// How a sample is to come.
struct SampleDraw {
  // In training a source may augment a sample: flip it, crop it, add noise. What it does must
  // follow from `seed`, `epoch` (from 0) and the sample's number alone, never from a generator with
  // a state: samples are loaded in any order, on several threads, and again after a restart.
  // Otherwise the sample comes as it is.
  bool training = false;
  uint64_t seed = 0;
  int64_t epoch = 0;
  // >= 0: this variant of the sample (SampleSource::Variants), whatever chance says.
  int variant = -1;
};

// Samples with numbers from 0 on. All methods may be called from any thread, several at once,
// except where they say otherwise; none may throw. A source outlives the trainings that use it.
class SampleSource {
 public:
  virtual ~SampleSource() = default;

  // How many samples there are; does not change.
  virtual int64_t size() const = 0;

  // Writes sample `sample` of [0, size()) to `inputs`, one for each input of the plan but sample
  // weights (kSampleWeight), which the training itself fills in. DATA_LOSS for a sample that is
  // bad, a file that cannot be decoded: it is left out, counted and told, and in training the next
  // one of the epoch takes its place. Any other error ends the training and comes back from it.
  virtual Status Load(int64_t sample, const SampleDraw& draw, std::span<SampleInput> inputs) = 0;

  // In how many ways a sample may come in training, which lets what frozen layers make of it be
  // kept (train.h, RowCacheOptions): 1 where it never differs, 2 where it may be mirrored, 0 where
  // there are too many ways to keep or nobody knows.
  virtual int Variants() const { return 0; }
  // Which of them `draw` gives, in [0, Variants()).
  virtual int VariantOf(int64_t /*sample*/, const SampleDraw& /*draw*/) const { return 0; }
  // What a variant is called in notes: "", "flipped".
  virtual const char* VariantName(int /*variant*/) const { return ""; }

  // Rows that a file keeps for later runs need to know that the samples are still the same: of what
  // the sample is made from, ...
  virtual Result<uint64_t> Checksum(int64_t /*sample*/) const {
    return Status(StatusCode::kUnimplemented, "source: its samples have no checksums");
  }
  // ... and `seed` and all else that decides what Load gives.
  virtual uint64_t Identity(uint64_t seed) const { return seed; }

  // What its samples are called in notes, in the plural.
  virtual const char* what() const { return "samples"; }

  // How many bytes the source may take to keep samples for the next epochs. Called before the first
  // epoch, and only where memory is bounded (TrainerOptions::cache_bytes); no Load is under way.
  virtual void SetCacheBytes(int64_t /*bytes*/) {}
  // No Load will come for a while: memory that only loading needs may go. A Load of another loader
  // may be under way.
  virtual void Rest() {}
};

// How far samples are loaded ahead of the step that needs them. Changes no result.
struct LoaderSize {
  LoaderSize() = default;
  LoaderSize(int loader_threads, int batches = 3)  // NOLINT: most callers choose threads alone
      : threads(loader_threads), queue_batches(batches) {}
  // 1 or more, beside the caller's; 64 are started at most, and fewer where the system starts no
  // more. Where it starts none, samples are loaded on the caller's thread.
  int threads = 1;
  int queue_batches = 3;  // batches in memory, 2 to 16: one in use, the others being filled
};

// Samples that lie in the caller's memory. The memory is borrowed and must stay as it is as long as
// the source is used; nothing is copied but into the batch. Not to be changed once it is in use.
class MemorySource final : public SampleSource {
 public:
  explicit MemorySource(int64_t samples) : samples_(samples) {}

  // The input `name`: sample i has `bytes_per_sample` bytes from data + i * bytes_per_sample on, as
  // many as the plan's input takes for a sample.
  void Add(std::string_view name, const void* data, int64_t bytes_per_sample);
  // The same for a typed array of size() samples one behind the other.
  template <typename T>
  void Add(std::string_view name, std::span<const T> values) {
    Add(name, values.data(), samples_ > 0 ? int64_t(values.size_bytes()) / samples_ : 0);
  }
  // Samples of different length: sample i has the entries from offsets[i] to offsets[i + 1] of
  // `data`, `bytes_per_entry` each. `offsets` has size() + 1 numbers, which do not fall, and is
  // borrowed too. The number of entries goes to the input `length_input`, i32[N], where the plan
  // has one; an empty name says that it has not. A sample longer than the plan's input is bad.
  void AddRagged(std::string_view name, const void* data, int64_t bytes_per_entry,
                 std::span<const int64_t> offsets, std::string_view length_input = {});

  int64_t size() const override { return samples_; }
  // INVALID_ARGUMENT for an input of the plan that was not added, or added with another size.
  Status Load(int64_t sample, const SampleDraw& draw, std::span<SampleInput> inputs) override;
  int Variants() const override { return 1; }

 private:
  struct Column {
    std::string name;
    const uint8_t* data = nullptr;
    int64_t bytes = 0;                 // of a sample, or of an entry of a ragged one
    std::span<const int64_t> offsets;  // empty: not ragged
    std::string length_input;
  };
  const Column* Find(std::string_view name) const;
  Status LoadInput(int64_t sample, SampleInput* input) const;

  int64_t samples_;
  std::vector<Column> columns_;
};

}  // namespace pocketune
