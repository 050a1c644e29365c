#include "frontends/ways.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "frontends/micro_batch.h"
#include "frontends/model.h"

namespace pocketune {
namespace {

constexpr int kMaxSlices = 16;  // plans and compile times grow with them

// Statistics of a batch and dropout's masks depend on which samples run together.
bool ComputesTheSameInSlices(const Graph& forward) {
  return std::none_of(forward.nodes.begin(), forward.nodes.end(), [](const Node& node) {
    return node.op == OpKind::kBatchNorm || node.op == OpKind::kDropout;
  });
}

// What the backward pass keeps: what is asked for, or what is allowed.
absl::StatusOr<std::vector<int>> SavedBitsOf(const Compilation& c) {
  const int bits = c.spec.saved_bits;
  if (bits != kAllBits && bits != 16 && bits != 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("saved activations: want 32, 16 or 8 bits (got ", bits, ")"));
  }
  if (!c.chooses) return std::vector<int>{bits};
  std::vector<int> allowed = {kAllBits};
  for (const int fewer : {16, 8}) {
    if (fewer >= bits) allowed.push_back(fewer);
  }
  return allowed;
}

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
  if (given.empty()) return trade;
  trade.given_up = absl::StrFormat(
      "%s; peak %.1f instead of %.1f MB, a step takes %.1f %% longer by the cost model",
      absl::StrJoin(given, ", "), static_cast<double>(taken.sizes.predicted_peak_bytes) / 1e6,
      static_cast<double>(trade.fastest_peak_bytes) / 1e6, 100.0 * trade.extra_time);
  return trade;
}

}  // namespace

std::vector<int> SlicesOf(int batch) {
  std::vector<int> numbers;
  for (int slices = 2; slices <= std::min(batch, kMaxSlices); ++slices) {
    if (batch % slices == 0) numbers.push_back(slices);
  }
  return numbers;
}

int MicroBatchOf(int slices, int batch) { return slices > 1 ? batch / slices : 0; }

absl::StatusOr<Ways> Ways::Of(const Compilation& c, PassContext& context) {
  Ways ways(c);
  const int batch = c.model.spec.batch;
  const int micro_batch = c.spec.micro_batch;
  if (micro_batch < 0 || (micro_batch > 0 && batch % micro_batch != 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "micro-batch: the batch is no multiple of it (got ", micro_batch, ", batch ", batch, ")"));
  }
  ways.slicings_ = {{.batch = micro_batch > 0 ? batch / micro_batch : 1}};
  const absl::StatusOr<std::vector<int>> saved_bits = SavedBitsOf(c);
  if (!saved_bits.ok()) return saved_bits.status();
  ways.saved_bits_ = *saved_bits;
  absl::StatusOr<Training> training = MakeTraining(c, context, ways.slicings_[0], c.spec.clip_norm);
  if (!training.ok()) return training.status();
  training = NarrowTraining(*std::move(training), context, ways.saved_bits_[0]);
  if (!training.ok()) return training.status();
  ways.asked_ = *std::move(training);
  if (micro_batch > 0) return ways;
  const bool same = ComputesTheSameInSlices(c.forward);
  const std::vector<bool> prefix = FrozenPrefix(c.forward);
  const bool has_prefix = std::count(prefix.begin(), prefix.end(), true) > 1;
  for (int slices : SlicesOf(batch)) {
    if (has_prefix) ways.slicings_.push_back({.prefix = slices});
    if (same) ways.slicings_.push_back({.batch = slices});
  }
  return ways;
}

absl::Status Ways::Offer(const Training& way, TrainPlan fastest, const Visit& fn) const {
  MemoryFit fit(way.optimized, std::move(fastest),
                [&](int64_t target_bytes) { return PlanTraining(c_, way, target_bytes); });
  return fn(fit);
}

absl::Status Ways::ForEachOf(const Slicing& slicing, const TrainPlan& asked_plan,
                             const Visit& fn) const {
  PassContext context = c_.context;
  absl::StatusOr<Training> whole = asked_;
  const bool asked = slicing == slicings_[0];
  if (!asked) whole = MakeTraining(c_, context, slicing, c_.spec.clip_norm);
  if (!whole.ok()) return whole.status();
  for (const int bits : saved_bits_) {
    if (asked && bits == saved_bits_[0]) {
      if (absl::Status status = Offer(asked_, asked_plan, fn); !status.ok()) return status;
      continue;
    }
    PassContext narrowing = context;
    const absl::StatusOr<Training> way = NarrowTraining(*whole, narrowing, bits);
    if (!way.ok()) return way.status();
    if (bits != saved_bits_[0] && way->narrowed == 0) continue;  // the same way again
    absl::StatusOr<TrainPlan> fastest = PlanTraining(c_, *way, kNoLiveTarget);
    if (!fastest.ok()) return fastest.status();
    if (absl::Status status = Offer(*way, *std::move(fastest), fn); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Ways::ForEach(const TrainPlan& asked_plan, const Visit& fn) const {
  for (const Slicing& slicing : slicings_) {
    const absl::Status status = ForEachOf(slicing, asked_plan, fn);
    if (absl::IsUnimplemented(status) && !(slicing == slicings_[0])) continue;
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<TrainPlan> FitTraining(const Compilation& c, const Ways& ways, MemoryTrade* trade) {
  absl::StatusOr<TrainPlan> asked = PlanTraining(c, ways.asked(), kNoLiveTarget);
  const int64_t budget = c.target.memory_bytes;
  if (!asked.ok() || budget == 0) return asked;
  std::optional<TrainPlan> best;
  if (asked->sizes.predicted_peak_bytes <= budget) best = *asked;
  int64_t smallest = std::numeric_limits<int64_t>::max();
  const auto take_faster = [&](MemoryFit& fit) -> absl::Status {
    // More memory is no use where the fastest of the way is slower than what fits already.
    if (best.has_value() && fit.fastest().step_ns >= best->step_ns) return absl::OkStatus();
    int64_t smallest_of_way = 0;
    absl::StatusOr<std::optional<TrainPlan>> plan = fit.Within(budget, &smallest_of_way);
    if (!plan.ok()) return plan.status();
    smallest = std::min(smallest, smallest_of_way);
    if (plan->has_value() && (!best.has_value() || (*plan)->step_ns < best->step_ns)) {
      best = *std::move(plan);
    }
    return absl::OkStatus();
  };
  if (!best.has_value()) {
    const absl::Status status = ways.ForEach(*asked, take_faster);
    if (!status.ok()) return status;
  }
  if (!best.has_value()) {
    return WithDetail(
        absl::OutOfRangeError(absl::StrCat("memory: no plan is so small (got ", budget,
                                           " bytes, want at least ", smallest, ")")),
        smallest);
  }
  *trade = TradeOf(*asked, *best, budget, c.model.spec.batch);
  return *std::move(best);
}

absl::StatusOr<std::vector<ParetoPoint>> ParetoOf(const Compilation& c, const Ways& ways) {
  const absl::StatusOr<TrainPlan> asked = PlanTraining(c, ways.asked(), kNoLiveTarget);
  if (!asked.ok()) return asked.status();
  std::vector<ParetoPoint> points;
  const absl::Status status = ways.ForEach(*asked, [&](MemoryFit& fit) {
    const absl::StatusOr<std::vector<TrainPlan>> plans = fit.All();
    if (!plans.ok()) return plans.status();
    for (const TrainPlan& plan : *plans) {
      points.push_back({plan.sizes.predicted_peak_bytes, plan.step_ns / 1e6,
                        MicroBatchOf(plan.slicing.batch, c.model.spec.batch),
                        MicroBatchOf(plan.slicing.prefix, c.model.spec.batch), plan.second_runs,
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

absl::StatusOr<int64_t> CostOfClipping(const Compilation& c, const Ways& ways) {
  PassContext context = c.context;
  absl::StatusOr<Training> free = MakeTraining(c, context, ways.asked().slicing, 0.0);
  if (!free.ok()) return free.status();
  free = NarrowTraining(*std::move(free), context, ways.asked().saved_bits);
  if (!free.ok()) return free.status();
  const absl::StatusOr<TrainPlan> unclipped = PlanTraining(c, *free, kNoLiveTarget);
  if (!unclipped.ok()) return unclipped.status();
  const absl::StatusOr<TrainPlan> clipped = PlanTraining(c, ways.asked(), kNoLiveTarget);
  if (!clipped.ok()) return clipped.status();
  return clipped->sizes.predicted_peak_bytes - unclipped->sizes.predicted_peak_bytes;
}

}  // namespace pocketune
