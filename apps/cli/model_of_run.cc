#include "apps/cli/model_of_run.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/cli/target.h"
#include "apps/train/exit_code.h"
#include "graph/base/status_macros.h"
#include "pocketune/checkpoint.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

// With the weights that the plan has from before the training.
absl::StatusOr<ZooModel> ModelOfPlan(RunSpec spec, const std::string& path,
                                     const std::string& metadata) {
  const RunSpec run = spec;
  spec.weights.clear();
  absl::StatusOr<ZooModel> zoo = LoadModel(spec, nullptr);
  if (!zoo.ok()) return zoo.status();
  Result<std::vector<SavedValues>> values = ReadModelValues(path.c_str());
  if (!values.ok()) return As(ExitCode::kModel, path, values.status());
  for (SavedValues& saved : values.value()) {
    PT_TRY(As(ExitCode::kModel, zoo->model.SetValues(saved.name, std::move(saved.values))));
  }
  zoo->given = GivenOf(Json::parse(metadata, nullptr, /*allow_exceptions=*/false), run);
  return zoo;
}

}  // namespace

absl::StatusOr<ZooModel> LoadModelOfRun(const RunSpec& spec, const std::string& folder,
                                        WeightsReport* report) {
  const std::string path = folder + "/plan.ptplan";
  const Result<PlanSummary> plan = Session::Summarize(path.c_str());
  const Result<uint64_t> identity = Session::PlanIdentity(path.c_str());
  if (!identity.ok()) return As(ExitCode::kModel, path, identity.status());
  absl::StatusOr<ZooModel> zoo =
      plan.ok() ? ModelOfPlan(spec, path, plan.value().metadata) : LoadModel(spec, report);
  if (!zoo.ok()) return zoo.status();
  Result<CheckpointContents> saved = CheckpointStore(folder).ReadNewest();
  if (saved.status().code() == StatusCode::kNotFound) return zoo;
  if (!saved.ok()) return As(ExitCode::kCheckpoint, folder, saved.status());
  const CheckpointContents& contents = saved.value();
  // A file of version 1 is the run's where it is of the run's plan, or of the one before that.
  const uint64_t first_plan =
      plan.ok() && plan.value().replaces != 0 ? plan.value().replaces : identity.value();
  const bool old = contents.version == 1;
  const bool own =
      old ? contents.plan_identity == identity.value() || contents.plan_identity == first_plan
          : contents.model_identity == zoo->model.identity() ||
                (plan.ok() && contents.model_identity == plan.value().model_identity);
  if (!own) return Fail(ExitCode::kCheckpoint, folder + ": its checkpoint is of another model");
  if (old) zoo->model.SetReplacedPlan(contents.plan_identity);
  for (SavedValues& tensor : saved.value().tensors) {
    if (tensor.state) continue;
    const Outcome<bool> set = zoo->model.SetLearned(tensor.name, std::move(tensor.values));
    if (old && set.code() == StatusCode::kNotFound) continue;  // a state: it does not say
    PT_TRY(As(ExitCode::kCheckpoint, set));
  }
  return zoo;
}

}  // namespace pocketune::cli
