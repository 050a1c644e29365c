#include "absl/strings/str_format.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/skipped.h"
#include "apps/cli/target.h"
#include "apps/train/process_budget.h"
#include "engine/base/resident_memory.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

struct EvalFlags {
  std::string checkpoint;
  std::string split = "test";
};

data::Split ParseSplit(const std::string& text) {
  return text == "train" ? data::Split::kTrain
         : text == "val" ? data::Split::kVal
                         : data::Split::kTest;
}

// Right answers over all samples of a class; 0 where it has none.
double Share(int64_t part, int64_t all) { return all == 0 ? 0 : double(part) / double(all); }

void SayEvaluation(const CommonFlags& flags, const std::string& split, const Evaluation& eval,
                   const std::vector<std::string>& names) {
  Say(flags, absl::StrFormat("%s accuracy %.1f %% of %d pictures, top-5 %.1f %%, loss %.4f", split,
                             100 * eval.accuracy(), eval.samples, 100 * eval.top5(), eval.loss));
  SaySkipped(flags, eval.skipped);
  Say(flags, "per class (rows: true class; columns: predicted class)");
  for (size_t i = 0; i < names.size() && i < eval.confusion.size(); ++i) {
    int64_t all = 0;
    std::string row;
    for (size_t j = 0; j < eval.confusion[i].size(); ++j) {
      all += eval.confusion[i][j];
      if (names.size() <= 20) row += absl::StrFormat("%6d", eval.confusion[i][j]);
    }
    Say(flags, absl::StrFormat("  %-18s %5.1f %%  %s", names[i],
                               100 * Share(eval.confusion[i][i], all), row));
  }
}

// A run's own data unless others are asked for; what was never trained takes the flags as they are.
DataSpec DataToEvaluate(const DataSpec& of_run, const DataSpec& asked) {
  if (of_run.path.empty()) return asked;
  DataSpec data = of_run;
  if (!asked.path.empty()) data.path = asked.path;
  if (!asked.perturb.empty()) data.perturb = asked.perturb;
  data.max_eval_per_class = asked.max_eval_per_class;
  return data;
}

// Under a bound: the pictures to judge are a run's own or those that `asked` names.
TargetFeed FeedOf(const RunSpec& asked, const CommonFlags& flags) {
  TargetFeed feed = {.bound = FindBound(asked.memory_bytes, flags), .add_demand = {}};
  feed.add_demand = [asked](const RunSpec& of_plan, const data::Transform& transform,
                            FeedDemand* demand) -> absl::Status {
    DataSpec spec = of_plan.data.path.empty() ? asked.data : of_plan.data;
    if (!asked.data.path.empty()) spec.path = asked.data.path;
    if (spec.path.empty()) return absl::OkStatus();
    const auto dataset = ::pocketune::OpenDataset(spec, of_plan.seed);
    if (!dataset.ok()) return dataset.status();
    AddData(**dataset, transform, demand);
    return absl::OkStatus();
  };
  return feed;
}

absl::Status EvalTarget(RunSpec spec, const EvalFlags& eval_flags, CommonFlags flags) {
  PT_TRY(ApplyCommonFlags(&flags));
  absl::StatusOr<OpenedTarget> target =
      OpenTarget(eval_flags.checkpoint, spec, flags, FeedOf(spec, flags));
  if (!target.ok()) return target.status();
  const DataSpec data_spec = DataToEvaluate(target->spec.data, spec.data);
  if (data_spec.path.empty()) return Fail(ExitCode::kUsage, "--data is required");
  if (spec.data.path.empty()) PT_TRY(CheckDataIsThere(data_spec.path, eval_flags.checkpoint));
  absl::StatusOr<std::unique_ptr<data::Dataset>> dataset =
      ::pocketune::OpenDataset(data_spec, target->spec.seed, target->class_names);
  if (!dataset.ok()) return dataset.status();
  const Shape image = ImageShape(*target->session, "eval");
  absl::StatusOr<data::Transform> transform = MakeTransform(data_spec, image, false);
  if (!transform.ok()) return transform.status();
  absl::StatusOr<Evaluation> eval =
      Evaluate(*target->session, **dataset, *transform, ParseSplit(eval_flags.split), image[0],
               target->loader_size);
  if (!eval.ok()) return eval.status();
  SayEvaluation(flags, eval_flags.split, *eval, (*dataset)->class_names());
  Json per_class = Json::object();
  for (size_t i = 0; i < (*dataset)->class_names().size() && i < eval->confusion.size(); ++i) {
    int64_t all = 0;
    for (int64_t n : eval->confusion[i]) all += n;
    per_class[(*dataset)->class_names()[i]] = Share(eval->confusion[i][i], all);
  }
  return EmitJson(flags, {{"model", target->spec.model.name},
                          {"split", eval_flags.split},
                          {"accuracy", eval->accuracy()},
                          {"top5", eval->top5()},
                          {"samples", eval->samples},
                          {"loss", eval->loss},
                          {"skipped", eval->skipped.size()},
                          {"skipped_pictures", ReasonsOf(eval->skipped)},
                          {"per_class", per_class},
                          {"confusion", eval->confusion},
                          {"predicted_peak_bytes", target->session->memory().predicted_peak_bytes},
                          {"process_peak_bytes", PeakResidentBytes()}});
}

}  // namespace

void AddEval(CLI::App& app, Run* run) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto eval = std::make_shared<EvalFlags>();
  CLI::App* command = app.add_subcommand("eval", "Accuracy, per class and confusion, on a split");
  command->footer("Example:\n  pocketune eval --checkpoint run1 --data photos/ --split test");
  command->add_option("--checkpoint", eval->checkpoint, "A run folder, a plan or a model's name")
      ->required();
  command->add_option("--data", spec->data.path, "Pictures (default: those of the run)");
  command->add_option("--split", eval->split, "train, val or test (default)")
      ->check(CLI::IsMember({"train", "val", "test"}));
  AddModelFlags(command, spec.get(), false);
  AddDataFlags(command, &spec->data);
  AddProcessMemoryFlag(command, spec.get());
  AddCommonFlags(command, flags.get());
  command->callback([=] {
    spec->seed = flags->seed;
    *run = [=] { return EvalTarget(*spec, *eval, *flags); };
  });
}

}  // namespace pocketune::cli
