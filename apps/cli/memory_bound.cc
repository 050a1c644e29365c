#include "apps/cli/memory_bound.h"

#include <malloc.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_format.h"
#include "apps/train/memory_group.h"
#include "apps/train/process_budget.h"
#include "graph/base/status_macros.h"

namespace pocketune::cli {
namespace {

constexpr int64_t kAmpleCacheBytes = int64_t{1} << 30;  // both caches and a second loader
constexpr int kOwnPagesBytes = 64 << 10;  // of an allocation that gets pages of its own

}  // namespace

MemoryBound FindBound(int64_t asked, const CommonFlags& flags) {
  if (asked > 0) return {asked, "--memory", false};
  const std::optional<MemoryGroup> group = FindMemoryGroup();
  if (!group.has_value()) return {};
  const int64_t left = group->limit_bytes - group->others_bytes - kProgramBytes;
  Say(flags, absl::StrFormat("memory      this process's group may have %s: as by --memory %d",
                             HumanBytes(group->limit_bytes), std::max<int64_t>(left, 0)));
  return {std::max<int64_t>(left, 1), "memory group " + group->folder, true};
}

absl::StatusOr<FeedDemand> DemandOf(const DataSpec& spec, const Shape& image,
                                    const data::Dataset* dataset, const CommonFlags& flags,
                                    const MemoryBound& bound) {
  PT_TRY_ASSIGN(const data::Transform transform, MakeTransform(spec, image, true));
  FeedDemand demand = {.batch = image[0], .threads = std::max(1, flags.threads - 1)};
  demand.image_bytes = transform.elems() * int64_t{sizeof(float)};
  if (dataset != nullptr && bound.bytes > 0) AddData(*dataset, transform, &demand);
  return demand;
}

absl::StatusOr<Division> DivideBound(const MemoryBound& bound, const SessionMemory& plan,
                                     const FeedDemand& demand) {
  if (bound.bytes == 0) return Division{.loader_threads = demand.threads, .queue_batches = 3};
  const ProcessBudget budget(bound.bytes, bound.why, demand);
  const int64_t checkpoint_bytes = plan.checkpoint_bytes;
  const auto division = budget.Divide(plan.predicted_peak_bytes, checkpoint_bytes);
  if (division.has_value()) return *division;
  return budget.TooSmall(plan.predicted_peak_bytes, checkpoint_bytes);
}

bool IsTight(const MemoryBound& bound, const Division& division) {
  return bound.bytes > 0 && !(bound.of_group && division.cache_bytes >= kAmpleCacheBytes);
}

void KeepHeapSmall() {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, kOwnPagesBytes);
  mallopt(M_TRIM_THRESHOLD, kOwnPagesBytes);
}

void ReturnFreedMemory() { malloc_trim(0); }

}  // namespace pocketune::cli
