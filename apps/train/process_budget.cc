#include "apps/train/process_budget.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/data/decode_bytes.h"
#include "apps/train/exit_code.h"

namespace pocketune {
namespace {

constexpr int kFewestBatches = 2;              // one in use, one being filled
constexpr int kBatches = 3;                    // as many as pay (LoaderOptions)
constexpr int64_t kThreadBytes = 256 << 10;    // touched of a stack, and what decoders keep
constexpr int64_t kSampleBytes = 64;           // of a batch, beside the image
constexpr int64_t kCheckpointBytes = 1 << 20;  // of a checkpoint, beside its tensors

std::string Megabytes(int64_t bytes) {
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

}  // namespace

void AddData(const data::Dataset& dataset, const data::Transform& transform, FeedDemand* demand) {
  demand->dataset_bytes = dataset.HeldBytes();
  demand->pictures = static_cast<int64_t>(dataset.samples().size());
  demand->decode_bytes = data::LargestDecodeBytes(dataset, transform);
}

ProcessBudget::ProcessBudget(int64_t bytes, std::string why, const FeedDemand& demand)
    : bytes_(bytes), why_(std::move(why)), demand_(demand) {}

int64_t ProcessBudget::LoaderBytes(int threads, int queue_batches) const {
  const FeedDemand& d = demand_;
  const int64_t order = 8 * d.pictures;  // in which the samples of an epoch come
  const int64_t prepared = d.image_bytes / 4;
  return queue_batches * (d.batch * (d.image_bytes + kSampleBytes) + order) + order +
         threads * (d.decode_bytes + prepared + kThreadBytes);
}

int64_t ProcessBudget::FixedBytes(int64_t checkpoint_bytes) const {
  return demand_.dataset_bytes +
         std::max(LoaderBytes(1, kFewestBatches), checkpoint_bytes + kCheckpointBytes);
}

std::optional<int64_t> ProcessBudget::PlanBytes(int64_t checkpoint_bytes) const {
  const int64_t left = bytes_ - FixedBytes(checkpoint_bytes);
  return left > 0 ? std::optional<int64_t>(left) : std::nullopt;
}

absl::Status ProcessBudget::TooSmall(int64_t plan_peak, int64_t checkpoint_bytes) const {
  const int64_t fixed = FixedBytes(checkpoint_bytes);
  return Fail(
      ExitCode::kBudget,
      absl::StrCat(why_, ": too little for the process: the smallest plan takes ",
                   Megabytes(plan_peak), ", pictures and batches beside it ", Megabytes(fixed),
                   " (got ", bytes_, " bytes, want at least ", plan_peak + fixed, ")"));
}

std::optional<Division> ProcessBudget::Divide(int64_t plan_peak, int64_t checkpoint_bytes) const {
  const int64_t spare = bytes_ - plan_peak - FixedBytes(checkpoint_bytes);
  if (spare < 0) return std::nullopt;
  const int64_t feed = bytes_ - plan_peak - demand_.dataset_bytes;
  Division division = {.loader_threads = 1, .queue_batches = kFewestBatches};
  const auto fits = [&](int threads, int queue) { return LoaderBytes(threads, queue) <= feed; };
  if (fits(1, kBatches)) division.queue_batches = kBatches;
  while (division.loader_threads < demand_.threads &&
         fits(division.loader_threads + 1, division.queue_batches)) {
    ++division.loader_threads;
  }
  const int64_t loader = LoaderBytes(division.loader_threads, division.queue_batches);
  division.cache_bytes = feed - std::max(loader, checkpoint_bytes + kCheckpointBytes);
  return division;
}

}  // namespace pocketune
