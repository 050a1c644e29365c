#include "apps/train/evaluator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/train/exit_code.h"
#include "engine/base/one_line.h"

namespace pocketune {

absl::Status CheckFinite(const Evaluation& eval, const data::Dataset& dataset) {
  if (eval.not_finite == 0) return absl::OkStatus();
  return Fail(ExitCode::kNumerics,
              absl::StrCat(OneLine(dataset.samples()[eval.first_not_finite].name),
                           ": the model's answer is not finite, as for ", eval.not_finite, " of ",
                           eval.samples, " pictures"));
}

Shape ImageShape(const Session& session, std::string_view schedule) {
  const std::vector<PortInfo> inputs = session.inputs(schedule);
  const PortInfo* image = FindPort(inputs, PortRole::kData);
  return image == nullptr ? Shape() : image->shape;
}

absl::StatusOr<PictureEvaluation> Evaluate(Session& session, const data::Dataset& dataset,
                                           const data::Transform& transform, data::Split split,
                                           LoaderSize loader_size) {
  if (dataset.Indices(split).empty()) {
    return Fail(ExitCode::kData, absl::StrCat("loader: too few samples in split ",
                                              data::NameOf(split), " (got 0, want at least 1)"));
  }
  data::DatasetSource source(&dataset, transform, split, {.cache_bytes = 0});
  EvaluationFault fault;
  Result<Evaluation> found = Evaluate(session, source, loader_size, &fault);
  if (!found.ok() && fault.of_source) {
    return As(ExitCode::kData, source.Explain(found.status(), fault.sample, fault.bad));
  }
  if (!found.ok()) return As(ExitCode::kInternal, "eval", found.status());
  PictureEvaluation eval;
  static_cast<Evaluation&>(eval) = std::move(found).value();
  if (eval.first_not_finite >= 0) eval.first_not_finite = source.IndexOf(eval.first_not_finite);
  eval.skipped = source.Skipped(eval.bad);
  return eval;
}

}  // namespace pocketune
