#include "graph/compile/plan_choice.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "graph/ir/outcome_bridge.h"
#include "graph/passes/micro_batch.h"

namespace pocketune {
namespace {

// What was given up for `taken`.
MemoryTrade TradeOf(const TrainPlan& fastest, const TrainPlan& taken, int64_t budget_bytes,
                    int64_t batch) {
  MemoryTrade trade;
  trade.budget_bytes = budget_bytes;
  trade.fastest_peak_bytes = fastest.sizes.predicted_peak_bytes;
  trade.second_runs = taken.second_runs;
  trade.recomputed_macs = taken.recomputed_macs / batch;
  trade.extra_time = taken.step_ns / fastest.step_ns - 1.0;
  std::vector<std::string> given;
  if (taken.slicing.batch != fastest.slicing.batch) {
    given.push_back(absl::StrFormat("%d samples run at a time", batch / taken.slicing.batch));
  }
  if (taken.slicing.prefix > 1) {
    given.push_back(
        absl::StrFormat("the layers before the first that learns run %d samples at a time",
                        batch / taken.slicing.prefix));
  }
  if (taken.second_runs > 0) {
    given.push_back(absl::StrFormat(
        "%d operators run again in the backward pass instead of keeping their results (%.1f M MACs "
        "a sample)",
        taken.second_runs, static_cast<double>(trade.recomputed_macs) / 1e6));
  }
  if (taken.narrowed > 0) {
    given.push_back(absl::StrFormat("%d saved activations are kept in %d bits", taken.narrowed,
                                    taken.saved_bits));
  }
  if (fastest.predicts && !taken.predicts) {
    given.push_back("a prediction of one sample takes as long as one of the batch");
  }
  if (given.empty()) return trade;
  trade.given_up = absl::StrFormat(
      "%s; peak %.1f instead of %.1f MB, a step takes %.1f %% longer by the cost model",
      absl::StrJoin(given, ", "), static_cast<double>(taken.sizes.predicted_peak_bytes) / 1e6,
      static_cast<double>(trade.fastest_peak_bytes) / 1e6, 100.0 * trade.extra_time);
  return trade;
}

}  // namespace

absl::StatusOr<TrainPlan> FitTraining(const Compilation& c, const TrainingVariants& variants,
                                      MemoryTrade* trade) {
  absl::StatusOr<TrainPlan> asked = PlanTraining(c, variants.asked(), kNoLiveTarget);
  const int64_t budget = c.target.memory_bytes;
  if (!asked.ok()) return asked;
  const absl::StatusOr<TrainPlan> whole = WithPrediction(c, *asked);
  if (!whole.ok() || budget == 0) return whole;
  std::optional<TrainPlan> best;
  if (asked->sizes.predicted_peak_bytes <= budget) best = *asked;
  int64_t smallest = std::numeric_limits<int64_t>::max();
  const auto take_faster = [&](MemoryFit& fit) -> absl::Status {
    // More memory is no use where the fastest of the variant is slower than what fits already.
    if (best.has_value() && fit.fastest().step_ns >= best->step_ns) return absl::OkStatus();
    int64_t smallest_of_variant = 0;
    absl::StatusOr<std::optional<TrainPlan>> plan = fit.Within(budget, &smallest_of_variant);
    if (!plan.ok()) return plan.status();
    smallest = std::min(smallest, smallest_of_variant);
    if (plan->has_value() && (!best.has_value() || (*plan)->step_ns < best->step_ns)) {
      best = *std::move(plan);
    }
    return absl::OkStatus();
  };
  if (!best.has_value()) {
    const absl::Status status = variants.ForEach(*asked, take_faster);
    if (!status.ok()) return status;
  }
  if (!best.has_value()) {
    return WithDetail(
        absl::OutOfRangeError(absl::StrCat("memory: no plan is so small (got ", budget,
                                           " bytes, want at least ", smallest, ")")),
        smallest);
  }
  // What trains comes first: predictions get what is left.
  absl::StatusOr<TrainPlan> predicting = WithPrediction(c, *best);
  if (!predicting.ok()) return predicting.status();
  if (predicting->sizes.predicted_peak_bytes <= budget) best = *std::move(predicting);
  *trade = TradeOf(*whole, *best, budget, c.model.batch);
  return *std::move(best);
}

absl::StatusOr<std::vector<ParetoPoint>> ParetoOf(const Compilation& c,
                                                  const TrainingVariants& variants) {
  const absl::StatusOr<TrainPlan> asked = PlanTraining(c, variants.asked(), kNoLiveTarget);
  if (!asked.ok()) return asked.status();
  std::vector<ParetoPoint> points;
  const absl::Status status = variants.ForEach(*asked, [&](MemoryFit& fit) {
    const absl::StatusOr<std::vector<TrainPlan>> plans = fit.All();
    if (!plans.ok()) return plans.status();
    for (const TrainPlan& plan : *plans) {
      points.push_back({plan.sizes.predicted_peak_bytes, plan.step_ns / 1e6,
                        MicroBatchOf(plan.slicing.batch, c.model.batch),
                        MicroBatchOf(plan.slicing.prefix, c.model.batch), plan.second_runs,
                        plan.narrowed > 0 ? plan.saved_bits : kAllBits});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  std::sort(points.begin(), points.end(), [](const ParetoPoint& a, const ParetoPoint& b) {
    return std::pair(a.step_cost_ms, a.predicted_peak_bytes) <
           std::pair(b.step_cost_ms, b.predicted_peak_bytes);
  });
  std::vector<ParetoPoint> front;
  for (const ParetoPoint& point : points) {
    if (front.empty() || point.predicted_peak_bytes < front.back().predicted_peak_bytes) {
      front.push_back(point);
    }
  }
  std::reverse(front.begin(), front.end());
  return front;
}

absl::StatusOr<int64_t> CostOfClipping(const Compilation& c, const TrainingVariants& variants) {
  PassContext context = c.context;
  absl::StatusOr<Training> free = MakeTraining(c, context, variants.asked().slicing, 0.0);
  if (!free.ok()) return free.status();
  free = NarrowTraining(*std::move(free), context, variants.asked().saved_bits);
  if (!free.ok()) return free.status();
  const absl::StatusOr<TrainPlan> unclipped = PlanTraining(c, *free, kNoLiveTarget);
  if (!unclipped.ok()) return unclipped.status();
  const absl::StatusOr<TrainPlan> clipped = PlanTraining(c, variants.asked(), kNoLiveTarget);
  if (!clipped.ok()) return clipped.status();
  return clipped->sizes.predicted_peak_bytes - unclipped->sizes.predicted_peak_bytes;
}

}  // namespace pocketune
