// How well a session's current parameters do on a split of a data set.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/data/dataset_source.h"
#include "pocketune/evaluation.h"
#include "pocketune/session.h"

namespace pocketune {

// Evaluation::first_not_finite is an index into Dataset::samples().
struct PictureEvaluation : Evaluation {
  std::vector<data::SkippedSample> skipped;  // bad pictures, which count for nothing
};

// [N,H,W,C] that the schedule takes; rank 0 where the plan does not have it.
Shape ImageShape(const Session& session, std::string_view schedule);

// One pass over `split` through the schedule "eval". A tie between classes goes to the lower index.
// Errors carry exit codes.
absl::StatusOr<PictureEvaluation> Evaluate(Session& session, const data::Dataset& dataset,
                                           const data::Transform& transform, data::Split split,
                                           LoaderSize loader_size);

// kNumerics with a line that names the first sample where answers were not finite.
absl::Status CheckFinite(const Evaluation& eval, const data::Dataset& dataset);

}  // namespace pocketune
