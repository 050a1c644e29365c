#include "graph/compile/memory_fit.h"

#include <algorithm>
#include <utility>

#include "graph/base/status_macros.h"
#include "graph/memory/liveness.h"
#include "graph/memory/remat_search.h"

namespace pocketune {
namespace {

constexpr double kRungRatio = 0.9;  // of one target to the next
constexpr int kMissesToStop = 2;    // targets in a row that are not reached
constexpr size_t kLowestRungs = 3;  // layouts differ by a percent: the lowest rung need not win
constexpr int kAims = 4;            // targets that are tried for one budget

}  // namespace

MemoryFit::MemoryFit(const Graph& optimized, TrainPlan fastest, MakeTrainPlan make)
    : optimized_(optimized),
      fastest_(std::move(fastest)),
      make_(std::move(make)),
      fixed_bytes_(fastest_.sizes.predicted_peak_bytes -
                   LivenessOf(fastest_.train).lower_bound_bytes) {}

void MemoryFit::FindRungs() {
  if (!rungs_.empty()) return;
  auto target = static_cast<double>(LivenessOf(fastest_.train).lower_bound_bytes);
  for (int misses = 0; misses < kMissesToStop;) {
    target *= kRungRatio;
    const auto bytes = static_cast<int64_t>(target);
    const RematPlan plan = SearchRemat(optimized_, bytes);
    misses = plan.peak_bytes <= bytes ? 0 : misses + 1;
    rungs_.push_back({bytes, plan.peak_bytes});
  }
  std::stable_sort(rungs_.begin(), rungs_.end(),
                   [](const Rung& a, const Rung& b) { return a.live_bytes > b.live_bytes; });
}

absl::StatusOr<int64_t> MemoryFit::Offer(int64_t target_bytes, int64_t budget_bytes,
                                         std::optional<TrainPlan>* best) const {
  PT_TRY_ASSIGN(TrainPlan plan, make_(target_bytes));
  const int64_t peak = plan.sizes.predicted_peak_bytes;
  if (peak <= budget_bytes && (!best->has_value() || plan.step_ns < (*best)->step_ns)) {
    *best = std::move(plan);
  }
  return peak;
}

absl::StatusOr<std::optional<TrainPlan>> MemoryFit::Within(int64_t budget_bytes,
                                                           int64_t* smallest_bytes) {
  *smallest_bytes = fastest_.sizes.predicted_peak_bytes;
  if (*smallest_bytes <= budget_bytes) return std::optional<TrainPlan>(fastest_);
  FindRungs();
  // What cannot be is found out first, and independently of the budget.
  std::optional<TrainPlan> best;
  for (size_t i = 0; i < std::min(kLowestRungs, rungs_.size()); ++i) {
    PT_TRY_ASSIGN(const int64_t peak,
                  Offer(rungs_[rungs_.size() - 1 - i].target_bytes, budget_bytes, &best));
    *smallest_bytes = std::min(*smallest_bytes, peak);
  }
  if (!best.has_value()) return best;

  // The layout adds to what is alive, and second runs to the tables: what is over is aimed below.
  int64_t target = budget_bytes - fixed_bytes_;
  for (int i = 0; i < kAims && target > 0; ++i) {
    PT_TRY_ASSIGN(const int64_t peak, Offer(target, budget_bytes, &best));
    if (peak <= budget_bytes) return best;
    target -= peak - budget_bytes;
  }
  for (const Rung& rung : rungs_) {
    if (rung.live_bytes > budget_bytes - fixed_bytes_) continue;
    PT_TRY_ASSIGN(const int64_t peak, Offer(rung.target_bytes, budget_bytes, &best));
    if (peak <= budget_bytes) break;
  }
  return best;
}

absl::StatusOr<std::vector<TrainPlan>> MemoryFit::All() {
  FindRungs();
  std::vector<TrainPlan> plans = {fastest_};
  for (const Rung& rung : rungs_) {
    PT_TRY_ASSIGN(TrainPlan plan, make_(rung.target_bytes));
    plans.push_back(std::move(plan));
  }
  return plans;
}

}  // namespace pocketune
