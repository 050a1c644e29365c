#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_format.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/eval_data.h"
#include "apps/cli/figures.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/skipped.h"
#include "apps/cli/target.h"
#include "apps/train/evaluator.h"
#include "apps/train/process_budget.h"
#include "engine/base/resident_memory.h"
#include "graph/base/status_macros.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

struct EvalFlags {
  std::string checkpoint;
  std::string split = "test";
};

// Right answers over all samples of each class; null where a class has none.
Json PerClass(const Evaluation& eval, const std::vector<std::string>& names) {
  Json shares = Json::object();
  for (size_t i = 0; i < names.size() && i < eval.confusion.size(); ++i) {
    const std::vector<int64_t>& row = eval.confusion[i];
    const int64_t all = std::accumulate(row.begin(), row.end(), int64_t{0});
    shares[names[i]] = all == 0 ? Json() : Json(double(row[i]) / double(all));
  }
  return shares;
}

void SayEvaluation(const CommonFlags& flags, const std::string& split,
                   const PictureEvaluation& eval, const std::vector<std::string>& names) {
  Say(flags, absl::StrFormat("%s accuracy %.1f %% of %d pictures, top-5 %.1f %%, loss %.4f", split,
                             100 * eval.accuracy(), eval.samples, 100 * eval.top5(), eval.loss));
  Say(flags, "each class alike: " + BalancedText(eval));
  SaySkipped(flags, eval.skipped);
  Say(flags, "per class (rows: true class; columns: predicted class)");
  const Json shares = PerClass(eval, names);
  for (size_t i = 0; i < names.size() && i < eval.confusion.size(); ++i) {
    std::string row;
    for (size_t j = 0; j < eval.confusion[i].size() && names.size() <= 20; ++j) {
      row += absl::StrFormat("%6d", eval.confusion[i][j]);
    }
    const Json& share = shares[names[i]];
    Say(flags,
        absl::StrFormat(
            "  %-18s %7s  %s", names[i],
            share.is_null() ? "-" : absl::StrFormat("%.1f %%", 100 * share.get<double>()), row));
  }
}

// Under a bound: the pictures to judge are a run's own or those that `asked` names.
TargetFeed FeedOf(const RunSpec& asked, const CommonFlags& flags) {
  TargetFeed feed = {.bound = FindBound(asked.memory_bytes, flags), .add_demand = {}};
  feed.add_demand = [asked](const RunSpec& of_plan, const data::Transform& transform,
                            FeedDemand* demand) -> absl::Status {
    DataSpec spec = of_plan.data.path.empty() ? asked.data : of_plan.data;
    if (!asked.data.path.empty()) spec.path = asked.data.path;
    if (spec.path.empty()) return absl::OkStatus();
    PT_TRY_ASSIGN(const auto dataset, ::pocketune::OpenDataset(spec, of_plan.seed));
    AddData(*dataset, transform, demand);
    return absl::OkStatus();
  };
  return feed;
}

absl::Status EvalTarget(const RunSpec& spec, const EvalFlags& eval_flags, CommonFlags flags,
                        const GivenFlags& given) {
  PT_TRY(ApplyCommonFlags(&flags));
  PT_TRY_ASSIGN(OpenedTarget target,
                OpenTarget(eval_flags.checkpoint, spec, flags, FeedOf(spec, flags)));
  PT_TRY(CheckModelFlags(target, spec, given));
  PT_TRY(CheckAnswers(target, flags));
  absl::StatusOr<JudgedData> data = OpenJudgedData(target, spec, eval_flags.split, given, flags);
  if (!data.ok()) return data.status();
  const data::Dataset& dataset = *data->dataset;
  const Shape image = ImageShape(*target.session, "eval");
  PT_TRY_ASSIGN(data::Transform transform, MakeTransform(data->spec, image, false));
  PT_TRY_ASSIGN(PictureEvaluation eval,
                Evaluate(*target.session, dataset, transform, data->split, target.loader_size));
  PT_TRY(CheckFinite(eval, dataset));
  SayEvaluation(flags, data->what, eval, dataset.class_names());
  return EmitJson(flags, {{"model", target.spec.model.name},
                          {"data", data->spec.path},
                          {"split", data->what},
                          {"accuracy", eval.accuracy()},
                          {"balanced_accuracy", eval.balanced_accuracy()},
                          {"macro_f1", eval.macro_f1()},
                          {"top5", eval.top5()},
                          {"samples", eval.samples},
                          {"loss", eval.loss},
                          {"skipped", eval.skipped.size()},
                          {"skipped_pictures", ReasonsOf(eval.skipped)},
                          {"per_class", PerClass(eval, dataset.class_names())},
                          {"confusion", eval.confusion},
                          {"predicted_peak_bytes", target.session->memory().predicted_peak_bytes},
                          {"process_peak_bytes", PeakResidentBytes()}});
}

}  // namespace

void AddEval(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto eval = std::make_shared<EvalFlags>();
  const Command command = commands.Add("eval", "Accuracy, per class and confusion, on a split");
  command.EndsWith("Example:\n  pocketune eval --checkpoint run1 --data newphotos/");
  command.Add("--checkpoint", &eval->checkpoint, "A run folder, a plan or a model's name")
      .Required();
  command.Add("--data", &spec->data.path, "Pictures to judge (default: those of the run)");
  command
      .Add("--split", &eval->split,
           "train, val or test (default); data that name no splits are judged whole")
      .OneOf({"train", "val", "test"});
  AddModelFlags(command, spec.get(), false);
  AddDataFlags(command, &spec->data);
  AddProcessMemoryFlag(command, spec.get());
  AddCommonFlags(command, flags.get());
  command.Runs([=]() -> absl::Status {
    spec->seed = flags->seed;
    PT_TRY(TakeNamedWeights(spec.get(), *flags, command.IsGiven("--normalize")));
    return EvalTarget(*spec, *eval, *flags, GivenFlags(command));
  });
}

}  // namespace pocketune::cli
