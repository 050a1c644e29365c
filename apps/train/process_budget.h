// How a bound on the memory of a whole process is divided among what takes it: docs/memory.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "apps/data/dataset.h"
#include "apps/data/transform.h"

namespace pocketune {

// What program and libraries take of a process before it does anything, and what it needs in
// passing: reports, messages, the tables of the system. A process under a budget of B bytes has
// B + kProgramBytes at most.
inline constexpr int64_t kProgramBytes = int64_t{24} << 20;

// What there is to feed a session with. Sizes in bytes.
struct FeedDemand {
  int64_t dataset_bytes = 0;  // of the opened data set: names, labels, pixels held in memory
  int64_t pictures = 0;       // of all splits
  int64_t decode_bytes = 0;   // what a thread has at most while it decodes one picture
  int64_t image_bytes = 0;    // of one picture as the model takes it
  int64_t batch = 1;
  int threads = 1;  // of the loader, at most
};

// Fills in what the data set and its pictures, made ready by `transform`, take. Opens each file.
void AddData(const data::Dataset& dataset, const data::Transform& transform, FeedDemand* demand);

// What each part may take. Loaders for training and for evaluation are there one at a time, and
// neither while a checkpoint is read.
struct Division {
  int loader_threads = 1;
  int queue_batches = 2;
  int64_t cache_bytes = 0;  // for rows of frozen layers and decoded pictures, all together
};

// The parts beside the plan are as small as they can be until the plan fits; what it leaves makes
// loaders faster first and goes to caches then.
class ProcessBudget {
 public:
  // `bytes` > 0; `why` is what set the bound, for messages: "--memory".
  ProcessBudget(int64_t bytes, std::string why, const FeedDemand& demand);

  // What a plan's peak may be, where restoring a checkpoint takes `checkpoint_bytes`; none where
  // even the smallest parts beside it do not fit.
  std::optional<int64_t> PlanBytes(int64_t checkpoint_bytes) const;
  // kBudget, with the smallest budget that would do for a plan of that peak.
  absl::Status TooSmall(int64_t plan_peak, int64_t checkpoint_bytes) const;
  // Nothing where such a plan does not fit.
  std::optional<Division> Divide(int64_t plan_peak, int64_t checkpoint_bytes) const;

 private:
  int64_t LoaderBytes(int threads, int queue_batches) const;
  // What is there beside the plan at the least.
  int64_t FixedBytes(int64_t checkpoint_bytes) const;

  const int64_t bytes_;
  const std::string why_;
  const FeedDemand demand_;
};

}  // namespace pocketune
