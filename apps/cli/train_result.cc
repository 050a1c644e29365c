#include "apps/cli/train_result.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/cli/figures.h"
#include "apps/cli/memory_bound.h"
#include "apps/cli/random_inputs.h"
#include "apps/cli/skipped.h"
#include "apps/report/report.h"
#include "apps/train/evaluator.h"
#include "engine/base/median.h"
#include "engine/base/resident_memory.h"
#include "graph/base/status_macros.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

data::Split SplitToJudgeBy(const data::Dataset& dataset) {
  const auto has = [&](data::Split split) { return !dataset.Indices(split).empty(); };
  if (has(data::Split::kTest)) return data::Split::kTest;
  return has(data::Split::kVal) ? data::Split::kVal : data::Split::kTrain;
}

absl::StatusOr<PictureEvaluation> EvaluateAtEnd(const TrainedRun& run, Session& session,
                                                data::Split split) {
  PT_TRY_ASSIGN(const data::Transform transform,
                MakeTransform(run.spec.data, ImageShape(session, "train"), false));
  absl::StatusOr<PictureEvaluation> eval =
      Evaluate(session, run.dataset, transform, split, run.loader_size);
  if (eval.ok()) PT_TRY(CheckFinite(*eval, run.dataset));
  return eval;
}

Json CacheJson(const RowCacheFigures& cache) {
  return {{"where", cache.bytes == 0 ? "off"
                    : cache.in_file  ? "file"
                                     : "memory"},
          {"bytes", cache.bytes},
          {"rows_computed", cache.computed},
          {"fill_seconds", cache.fill_seconds}};
}

// Relative change of a parameter by training: |now - before| / |before|, L2.
double ChangeOf(const Session& session, const ParamInfo& param) {
  if (!param.trainable && !param.learned_before) return 0;
  std::vector<float> now(param.shape.elems()), before(now.size());
  if (!session.ReadParam(param.name, now).ok() || !session.ReadBaseParam(param.name, before).ok()) {
    return 0;
  }
  double moved = 0, size = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    moved += (double(now[i]) - before[i]) * (double(now[i]) - before[i]);
    size += double(before[i]) * before[i];
  }
  return size > 0 ? std::sqrt(moved / size) : std::sqrt(moved);
}

std::vector<LayerChange> LayersOf(const Session& session) {
  std::vector<LayerChange> layers;
  for (const ParamInfo& param : session.params()) {
    if (param.state) continue;
    layers.push_back(
        {std::string(param.name), param.shape.elems(), param.trainable, ChangeOf(session, param)});
  }
  return layers;
}

absl::Status WriteReportOf(const TrainedRun& run, const Json& figures, const Evaluation& eval,
                           const std::vector<LayerChange>& layers) {
  ReportInput input;
  input.figures = figures;
  input.epochs = run.folder.ReadLog();
  input.class_names = run.dataset.class_names();
  input.confusion = eval.confusion;
  if (absl::StatusOr<Json> spec = run.folder.ReadSpec(); spec.ok()) {
    input.memory_map = spec->value("memory_map", Json::object());
  }
  input.layers = layers;
  return WriteReport(input, run.folder.report_path());
}

Json OutcomeJson(const TrainedRun& run, const Evaluation& eval, data::Split split,
                 const std::vector<data::SkippedSample>& skipped) {
  Json json = RunJson(run.spec, run.flags, {}, run.trainer.step_ms());
  json.update(run.figures);
  json["loss_first"] = run.state.loss_first;
  json["loss_last"] = run.state.loss_last;
  json["accuracy"] = eval.accuracy();
  json["balanced_accuracy"] = eval.balanced_accuracy();
  json["macro_f1"] = eval.macro_f1();
  json["top5"] = eval.top5();
  json["samples"] = eval.samples;
  json["split"] = data::NameOf(split);
  json["total_steps"] = run.state.step;
  json["rollbacks"] = run.state.rollbacks;
  json["skipped"] = skipped.size();
  json["skipped_pictures"] = ReasonsOf(skipped);
  json["train_seconds"] = run.train_seconds;
  json["epoch_seconds"] = run.trainer.epoch_seconds();
  json["prefix_cache"] = CacheJson(run.trainer.prefix_cache());
  json["out"] = run.folder.path();
  json["command"] = CommandLine();
  json["version"] = POCKETUNE_VERSION;
  return json;
}

}  // namespace

absl::Status ReportTraining(const TrainedRun& run, std::unique_ptr<Session> session) {
  const data::Split split = SplitToJudgeBy(run.dataset);
  PT_TRY_ASSIGN(const PictureEvaluation eval, EvaluateAtEnd(run, *session, split));
  std::vector<data::SkippedSample> skipped = run.skipped;
  data::AddSkipped(eval.skipped, &skipped);
  SaySkipped(run.flags, skipped, run.skipped.size());
  const std::vector<LayerChange> layers = LayersOf(*session);
  const int64_t input_bytes = TrainInputBytes(*session);
  session.reset();
  ReturnFreedMemory();
  Json json = OutcomeJson(run, eval, split, skipped);
  Say(run.flags,
      absl::StrFormat("%s accuracy %.1f %% of %d pictures; %.1f ms a step", data::NameOf(split),
                      100 * eval.accuracy(), eval.samples, Median(run.trainer.step_ms())));
  Say(run.flags, "each class alike: " + BalancedText(eval));
  SayPeak(run.flags, json);
  PT_TRY(WriteReportOf(run, json, eval, layers));
  Say(run.flags,
      absl::StrFormat("checkpoint in %s, report %s", run.folder.path(), run.folder.report_path()));
  // A second time the memory of training: after all that matters.
  const absl::StatusOr<Measurement> memory =
      MeasurePlan(run.folder.plan_path(), run.flags.threads, run.flags.isa, 3, input_bytes);
  if (memory.ok()) {
    AddMeasurement(*memory, &json);
    PT_TRY(WriteReportOf(run, json, eval, layers));
  } else {
    Say(run.flags, absl::StrCat("the plan's memory was not measured: ", memory.status().message()));
  }
  json["process_peak_bytes"] = PeakResidentBytes();
  return EmitJson(run.flags, json);
}

}  // namespace pocketune::cli
