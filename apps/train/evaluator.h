// How well a session's current parameters do on a split.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/data/loader.h"
#include "pocketune/session.h"

namespace pocketune {

class PrefixCache;

struct Evaluation {
  int64_t samples = 0;
  int64_t correct = 0;
  int64_t correct_top5 = 0;
  double loss = 0.0;                         // mean, nats
  std::vector<data::SkippedSample> skipped;  // bad pictures, which count for nothing
  // Samples whose logits are NaN or infinite, and the first of them (Dataset::samples; -1: none).
  // They count as wrong, stand in no row of `confusion`, and make `loss` NaN.
  int64_t not_finite = 0;
  int64_t first_not_finite = -1;
  // [true class][predicted class], samples
  std::vector<std::vector<int64_t>> confusion;

  double accuracy() const { return samples == 0 ? 0 : double(correct) / double(samples); }
  double top5() const { return samples == 0 ? 0 : double(correct_top5) / double(samples); }
  // Mean over classes of the share that is recognised, where accuracy lets large classes decide
  // (Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010). Classes
  // without samples do not count; 0 where none has any.
  double balanced_accuracy() const;
  // Mean over the same classes of F1 = 2 TP / (2 TP + FP + FN): the mean of F1 scores of Opitz and
  // Burst, "Macro F1 and Macro F1", 2019.
  double macro_f1() const;
};

// [N,H,W,C] that the schedule takes; rank 0 where the plan does not have it.
Shape ImageShape(const Session& session, std::string_view schedule);

// One pass over `split` through the schedule "eval". A tie between classes goes to the lower index.
// With a filled `cache` of that split and schedule no picture is loaded.
absl::StatusOr<Evaluation> Evaluate(Session& session, const data::Dataset& dataset,
                                    const data::Transform& transform, data::Split split,
                                    int64_t batch, data::LoaderSize loader_size,
                                    PrefixCache* cache = nullptr);

// kNumerics with a line that names the first sample where answers were not finite.
absl::Status CheckFinite(const Evaluation& eval, const data::Dataset& dataset);
bool AllFinite(std::span<const float> values);

// Indices of the `k` largest of logits[classes], best first; ties go to the lower index.
std::vector<int> TopClasses(std::span<const float> logits, int k);
// exp(x - max) / sum, in double.
std::vector<double> Probabilities(std::span<const float> logits);

}  // namespace pocketune
