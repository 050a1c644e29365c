#include "apps/cli/plan_in_child.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "apps/cli/child.h"
#include "apps/cli/figures.h"
#include "apps/cli/model_of_run.h"
#include "apps/cli/target.h"
#include "apps/train/training_choice.h"
#include "engine/base/resident_memory.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

// What the child works on.
struct Job {
  RunSpec spec;
  const CommonFlags& flags;
  const data::Dataset* dataset;
  const MemoryBound& bound;
  const std::string& path;
  const std::string run = {};  // the folder of one that goes on; empty: a new one
};

const std::vector<std::string>& NamesOf(const data::Dataset* dataset) {
  static const std::vector<std::string> kNone;
  return dataset == nullptr ? kNone : dataset->class_names();
}

// Nothing fits: how much would.
absl::Status TooSmall(const Job& job, const ZooModel& model, const ProcessBudget& budget,
                      int64_t smallest_plan, int64_t checkpoint_bytes) {
  if (checkpoint_bytes == 0) {
    const absl::StatusOr<Plan> free = CompileModel(model, job.spec, job.flags, {}, 0);
    if (free.ok()) checkpoint_bytes = free->figures.checkpoint_bytes;
  }
  return budget.TooSmall(smallest_plan, checkpoint_bytes);
}

// The fastest plan beside which everything else fits.
absl::StatusOr<Plan> CompileWithin(const Job& job, const ZooModel& model,
                                   const ProcessBudget& budget, Division* division) {
  int64_t checkpoint_bytes = 0, peak = 0;  // known after a plan
  for (int round = 0; round < 2; ++round) {
    const int64_t plan_bytes = budget.PlanBytes(checkpoint_bytes).value_or(1);
    int64_t smallest = 0;
    absl::StatusOr<Plan> plan =
        CompileModel(model, job.spec, job.flags, NamesOf(job.dataset), plan_bytes, &smallest);
    if (smallest > 0) return TooSmall(job, model, budget, smallest, checkpoint_bytes);
    if (!plan.ok()) return plan.status();
    peak = plan->figures.predicted_peak_bytes;
    checkpoint_bytes = plan->figures.checkpoint_bytes;
    const std::optional<Division> fits = budget.Divide(peak, checkpoint_bytes);
    if (!fits.has_value()) continue;
    *division = *fits;
    return plan;
  }
  return budget.TooSmall(peak, checkpoint_bytes);
}

TrainingFacts FactsOf(const Job& job, const ZooModel& model) {
  TrainingFacts facts{.pretrained = model.given != GivenWeights::kNone || !job.run.empty()};
  if (job.dataset != nullptr) {
    facts.train_pictures = static_cast<int64_t>(job.dataset->Indices(data::Split::kTrain).size());
  }
  return facts;
}

// In the child: everything, as text.
absl::StatusOr<std::string> CompileAsText(Job job) {
  WeightsReport report;
  absl::StatusOr<ZooModel> model =
      job.run.empty() ? LoadModel(job.spec, &report) : LoadModelOfRun(job.spec, job.run, &report);
  if (!model.ok()) return model.status();
  const std::string choice = ChooseTraining(FactsOf(job, *model), &job.spec);
  const absl::StatusOr<FeedDemand> demand =
      DemandOf(job.spec.data, model->model.data_shape(), job.dataset, job.flags, job.bound);
  if (!demand.ok()) return demand.status();
  Division division = {.loader_threads = demand->threads, .queue_batches = 3};
  const std::vector<std::string> names =
      job.dataset == nullptr ? ClassNamesOf(*model, job.spec) : NamesOf(job.dataset);
  const absl::StatusOr<Plan> plan =
      job.bound.bytes == 0
          ? CompileModel(*model, job.spec, job.flags, names, 0)
          : CompileWithin(job, *model, ProcessBudget(job.bound.bytes, job.bound.why, *demand),
                          &division);
  if (!plan.ok()) return plan.status();
  const Outcome<bool> written = plan->Write(job.path);
  if (!written.ok()) return As(ExitCode::kIo, written);
  RunSpec complete = job.spec;
  complete.model = model->spec;
  const Json json = {
      {"spec", ::pocketune::ToJson(complete)},
      {"choice", choice},
      {"figures", cli::ToJson(plan->figures)},
      {"weights", report.loaded == 0 ? std::vector<std::string>() : report.Lines()},
      {"memory_map", plan->memory_map_json},
      {"division", {division.loader_threads, division.queue_batches, division.cache_bytes}},
      {"peak", PeakResidentBytes()}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<PlanOfChild> RunJob(const Job& job) {
  const absl::StatusOr<std::string> text =
      RunInChild("compile", [&] { return CompileAsText(job); });
  if (!text.ok()) return text.status();
  const Json json = Json::parse(*text);
  const absl::StatusOr<RunSpec> complete = RunSpecFromJson(json["spec"]);
  if (!complete.ok()) return complete.status();
  const Json& division = json["division"];
  return PlanOfChild{.model = complete->model,
                     .epochs = complete->epochs,
                     .lr = complete->lr,
                     .warmup_steps = complete->warmup_steps,
                     .clip_norm = complete->train.clip_norm,
                     .choice = json["choice"],
                     .figures = FiguresFromJson(json["figures"]),
                     .weights_lines = json["weights"],
                     .memory_map = json["memory_map"],
                     .compiler_peak_bytes = json["peak"],
                     .division = {division[0], division[1], division[2]}};
}

}  // namespace

absl::StatusOr<PlanOfChild> CompileInChild(const RunSpec& spec, const CommonFlags& flags,
                                           const data::Dataset* dataset, const MemoryBound& bound,
                                           const std::string& path) {
  return RunJob({spec, flags, dataset, bound, path});
}

absl::StatusOr<PlanOfChild> CompileRunInChild(const RunSpec& spec, const CommonFlags& flags,
                                              const data::Dataset* dataset,
                                              const MemoryBound& bound, const std::string& run,
                                              const std::string& path) {
  return RunJob({spec, flags, dataset, bound, path, run});
}

absl::StatusOr<PlanFigures> CompileSchemeInChild(const ZooModel& model, const RunSpec& spec,
                                                 const CommonFlags& flags, int64_t plan_bytes,
                                                 const std::string& path) {
  const auto compile = [&]() -> absl::StatusOr<std::string> {
    const TrainSpec& train = spec.train;
    const Target target = {.threads = flags.threads, .isa = flags.isa, .memory_bytes = plan_bytes};
    const Outcome<Plan> plan = Compile(model.model, train, target);
    if (!plan.ok()) {
      const bool too_small = plan.code() == StatusCode::kOutOfRange;
      return As(too_small ? ExitCode::kBudget : ExitCode::kUsage, plan);
    }
    const Outcome<bool> written = path.empty() ? Outcome<bool>(true) : plan.value().Write(path);
    if (!written.ok()) return As(ExitCode::kIo, written);
    return cli::ToJson(plan.value().figures).dump();
  };
  const absl::StatusOr<std::string> text = RunInChild("compile", compile);
  if (!text.ok()) return text.status();
  return FiguresFromJson(Json::parse(*text));
}

}  // namespace pocketune::cli
