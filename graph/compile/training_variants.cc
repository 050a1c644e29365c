#include "graph/compile/training_variants.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/base/status_macros.h"
#include "graph/passes/micro_batch.h"

namespace pocketune {
namespace {

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

}  // namespace

absl::StatusOr<TrainingVariants> TrainingVariants::Of(const Compilation& c, PassContext& context) {
  TrainingVariants variants(c);
  const int batch = c.model.batch;
  const int micro_batch = c.spec.micro_batch;
  if (micro_batch < 0 || (micro_batch > 0 && batch % micro_batch != 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "micro-batch: the batch is no multiple of it (got ", micro_batch, ", batch ", batch, ")"));
  }
  variants.slicings_ = {{.batch = micro_batch > 0 ? batch / micro_batch : 1}};
  PT_TRY_ASSIGN(const std::vector<int> saved_bits, SavedBitsOf(c));
  variants.saved_bits_ = saved_bits;
  PT_TRY_ASSIGN(Training training,
                MakeTraining(c, context, variants.slicings_[0], c.spec.clip_norm));
  PT_TRY_ASSIGN(training, NarrowTraining(std::move(training), context, variants.saved_bits_[0]));
  variants.asked_ = std::move(training);
  if (micro_batch > 0) return variants;
  const bool same = ComputesTheSameInSlices(c.forward);
  const std::vector<bool> prefix = FrozenPrefix(c.forward);
  const bool has_prefix = std::count(prefix.begin(), prefix.end(), true) > 1;
  for (int slices : SlicesOf(batch)) {
    if (has_prefix) variants.slicings_.push_back({.prefix = slices});
    if (same) variants.slicings_.push_back({.batch = slices});
  }
  return variants;
}

absl::Status TrainingVariants::Offer(const Training& variant, TrainPlan fastest,
                                     const Visit& fn) const {
  MemoryFit fit(variant.optimized, std::move(fastest),
                [&](int64_t target_bytes) { return PlanTraining(c_, variant, target_bytes); });
  return fn(fit);
}

absl::Status TrainingVariants::ForEachOf(const Slicing& slicing, const TrainPlan& asked_plan,
                                         const Visit& fn) const {
  PassContext context = c_.context;
  absl::StatusOr<Training> whole = asked_;
  const bool asked = slicing == slicings_[0];
  if (!asked) whole = MakeTraining(c_, context, slicing, c_.spec.clip_norm);
  if (!whole.ok()) return whole.status();
  for (const int bits : saved_bits_) {
    if (asked && bits == saved_bits_[0]) {
      PT_TRY(Offer(asked_, asked_plan, fn));
      continue;
    }
    PassContext narrowing = context;
    PT_TRY_ASSIGN(const Training variant, NarrowTraining(*whole, narrowing, bits));
    if (bits != saved_bits_[0] && variant.narrowed == 0) continue;  // the same variant again
    PT_TRY_ASSIGN(TrainPlan fastest, PlanTraining(c_, variant, kNoLiveTarget));
    PT_TRY(Offer(variant, std::move(fastest), fn));
  }
  return absl::OkStatus();
}

absl::Status TrainingVariants::ForEach(const TrainPlan& asked_plan, const Visit& fn) const {
  for (const Slicing& slicing : slicings_) {
    const absl::Status status = ForEachOf(slicing, asked_plan, fn);
    if (absl::IsUnimplemented(status) && !(slicing == slicings_[0])) continue;
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace pocketune
