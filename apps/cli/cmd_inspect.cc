#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/pareto.h"
#include "apps/cli/target.h"
#include "engine/base/math.h"
#include "engine/plan/plan_file.h"
#include "graph/base/status_macros.h"
#include "graph/ir/model.h"
#include "graph/lower/plan_text.h"
#include "graph/memory/memory_report.h"
#include "sparse_bp/memory_model.h"
#include "sparse_bp/scheme.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

struct InspectFlags {
  std::string target;        // a run folder, a plan or a model's name
  std::string memory_model;  // empty: none
  bool ir = false;
  bool memory = false;
  bool ops = false;
  bool kernels = false;
  bool pareto = false;
  std::string out = "pareto.svg";
};

struct OpTotals {
  int nodes = 0;
  int64_t macs = 0;
};

// Per phase and kernel: how often, and how many multiply-accumulates.
std::map<std::pair<Phase, std::string>, OpTotals> TotalsOf(const Graph& graph) {
  std::map<std::pair<Phase, std::string>, OpTotals> totals;
  for (const Node& node : graph.nodes) {
    OpTotals& row = totals[{node.phase, node.kernel}];
    ++row.nodes;
    row.macs = SaturatedAdd(row.macs, MacsOf(node.op, TypesOf(graph, node.operands),
                                             TypesOf(graph, node.results), node.attrs));
  }
  return totals;
}

Json SayOps(const CommonFlags& flags, const std::string& schedule, const Graph& graph) {
  Json rows = Json::array();
  Say(flags, absl::StrFormat("\noperators of the schedule %s\n%-6s %-44s %6s %12s", schedule,
                             "phase", "kernel", "nodes", "MACs"));
  for (const auto& [key, row] : TotalsOf(graph)) {
    Say(flags, absl::StrFormat("%-6s %-44s %6d %12s", NameOf(key.first), key.second, row.nodes,
                               row.macs == 0 ? "" : HumanCount(row.macs)));
    rows.push_back({{"phase", NameOf(key.first)},
                    {"kernel", key.second},
                    {"nodes", row.nodes},
                    {"macs", row.macs}});
  }
  return rows;
}

// Names of the kernels that any step of the plan calls.
std::set<std::string> KernelsOf(const fb::Plan& plan) {
  std::set<std::string> names;
  for (const fb::Schedule* schedule : *plan.schedules()) {
    for (const fb::Step* step : *schedule->steps()) names.insert(step->kernel()->str());
  }
  return names;
}

std::string PlanPathOf(const std::string& target) {
  std::error_code error;
  return std::filesystem::is_directory(target, error) ? target + "/plan.ptplan" : target;
}

absl::Status InspectPlan(const std::string& path, const InspectFlags& inspect,
                         const CommonFlags& flags) {
  Result<PlanFile> file = PlanFile::Open(path.c_str());
  if (!file.ok()) return As(ExitCode::kModel, path, file.status());
  const fb::Plan& plan = file->plan();
  const bool all = !inspect.ir && !inspect.memory && !inspect.ops;
  const std::set<std::string> kernels = KernelsOf(plan);
  Json json = {{"name", plan.name()->str()},
               {"arena_bytes", plan.arena_bytes()},
               {"param_bytes", plan.param_bytes()},
               {"optimizer_bytes", plan.optimizer_bytes()},
               {"packed_bytes", plan.packed_bytes()},
               {"predicted_peak_bytes", plan.predicted_peak_bytes()},
               {"threads", plan.slots()},
               {"kernels", kernels}};
  if (plan.metadata() != nullptr) {
    json["metadata"] = Json::parse(plan.metadata()->str(), nullptr, /*allow_exceptions=*/false);
  }
  if (inspect.kernels) {
    Say(flags, absl::StrJoin(kernels, "\n"));
    return EmitJson(flags, json);
  }
  Say(flags, absl::StrFormat("plan %s: arena %s, learning parameters %s, optimizer %s,\n"
                             "packed weights %s, predicted peak %s, for up to %d threads",
                             plan.name()->str(), HumanBytes(plan.arena_bytes()),
                             HumanBytes(plan.param_bytes()), HumanBytes(plan.optimizer_bytes()),
                             HumanBytes(plan.packed_bytes()),
                             HumanBytes(plan.predicted_peak_bytes()), plan.slots()));
  for (const fb::Schedule* schedule : *plan.schedules()) {
    const Graph graph = GraphOfSchedule(plan, *schedule);
    Json& entry = json["schedules"][schedule->name()->str()];
    if (all || inspect.ops) entry["ops"] = SayOps(flags, schedule->name()->str(), graph);
    if (all || inspect.memory) {
      Say(flags, absl::StrCat("\nmemory map of the schedule ", schedule->name()->str(), "\n",
                              MemoryMapText(graph)));
      entry["memory_map"] = Json::parse(MemoryMapJson(graph), nullptr, false);
    }
    if (all || inspect.ir) Say(flags, absl::StrCat("\n", Print(graph, {.locs = true})));
  }
  return EmitJson(flags, json);
}

// What a published model says that the scheme's training costs. Its MACs are those of the plan.
absl::Status InspectMemoryModel(const RunSpec& spec, const CommonFlags& flags) {
  WeightsReport report;
  absl::StatusOr<ZooModel> model = LoadModel(spec, &report);
  if (!model.ok()) return model.status();
  const absl::StatusOr<UpdateScheme> scheme = ParseScheme(spec.train.scheme);
  if (!scheme.ok()) return As(ExitCode::kUsage, scheme.status());
  Graph forward = model->model.impl().forward;
  if (absl::Status status = ApplyScheme(forward, *scheme); !status.ok()) {
    return As(ExitCode::kUsage, status);
  }
  const ExtraMemory memory = McunetV3Memory(forward);
  PT_TRY_ASSIGN(Plan plan, CompileModel(*model, spec, flags, {}, spec.memory_bytes));
  const PlanFigures& figures = plan.figures;
  Say(flags,
      absl::StrFormat("%s under %s, after MCUNetV3, per sample in int8: %s beyond inference\n"
                      "%d weights and %d biases learn beside the classifier\n"
                      "%s MACs forward, %s backward",
                      model->spec.name, spec.train.scheme, HumanBytes(memory.bytes),
                      memory.trained_weights, memory.trained_biases,
                      HumanCount(figures.forward_macs), HumanCount(figures.backward_macs)));
  return EmitJson(flags, {{"model", model->spec.name},
                          {"resolution", model->spec.resolution},
                          {"scheme", spec.train.scheme},
                          {"memory_model", "mcunetv3"},
                          {"extra_memory_bytes", memory.bytes},
                          {"trained_weights", memory.trained_weights},
                          {"trained_biases", memory.trained_biases},
                          {"forward_macs", figures.forward_macs},
                          {"backward_macs", figures.backward_macs}});
}

absl::Status Inspect(RunSpec spec, InspectFlags inspect, CommonFlags flags) {
  PT_TRY(ApplyCommonFlags(&flags, Runs::kNothing));
  if (inspect.target.empty() == spec.model.name.empty()) {
    return Fail(ExitCode::kUsage, "inspect: one of TARGET and --model is required");
  }
  if (!inspect.memory_model.empty()) {
    if (spec.model.name.empty()) spec.model.name = inspect.target;
    return InspectMemoryModel(spec, flags);
  }
  if (inspect.target.empty()) inspect.target = spec.model.name;
  const std::string path = PlanPathOf(inspect.target);
  std::error_code error;
  if (inspect.pareto) {
    if (std::filesystem::exists(path, error)) {
      return Fail(ExitCode::kUsage, inspect.target + ": --pareto needs a model, not a plan");
    }
    RunSpec named = spec;
    named.model.name = inspect.target;
    return InspectPareto(named, flags, inspect.out);
  }
  if (std::filesystem::exists(path, error)) return InspectPlan(path, inspect, flags);
  if (path != inspect.target) {
    return Fail(ExitCode::kCheckpoint, inspect.target + ": no run here (plan.ptplan is missing)");
  }
  RunSpec named = spec;
  named.model.name = inspect.target;
  WeightsReport report;
  PT_TRY_ASSIGN(Plan plan, CompileSpec(named, flags, &report));
  TempFile file(".ptplan");
  Outcome<bool> written = plan.Write(file.path());
  if (!written.ok()) return As(ExitCode::kIo, written);
  return InspectPlan(file.path(), inspect, flags);
}

}  // namespace

void AddInspect(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto inspect = std::make_shared<InspectFlags>();
  const Command command =
      commands.Add("inspect", "Show a compiled plan: operators, memory map, IR text");
  command.EndsWith(
      "Examples:\n  pocketune inspect run1\n"
      "  pocketune inspect mcunet-5fps --scheme bias:7 --map\n"
      "  pocketune inspect resnet50 --batch 8 --pareto --out resnet50.svg\n"
      "  pocketune inspect run1 --kernels > kernels.txt\n"
      "  pocketune inspect --model mcunet-5fps --scheme mcunetv3:mcunet-5fps-49 \\\n"
      "      --memory-model mcunetv3 --json -");
  command.Add("target", &inspect->target, "A run folder, a plan or a model's name");
  command
      .Add("--memory-model", &inspect->memory_model,
           "What a published model says that training costs: mcunetv3")
      .OneOf({"mcunetv3"});
  command.Add("--ir", &inspect->ir, "The IR text alone");
  command.Add("--map", &inspect->memory, "The memory map alone");
  command.Add("--ops", &inspect->ops, "The operators alone");
  command.Add("--kernels", &inspect->kernels, "The kernels' names alone, for a small build");
  const Flag pareto = command.Add("--pareto", &inspect->pareto,
                                  "Memory against step time over the plans found, as a picture");
  command.Add("--out", &inspect->out, "Where --pareto draws it (default pareto.svg)")
      .Called("FILE")
      .Needs(pareto);
  AddModelFlags(command, spec.get(), false);
  AddTrainFlags(command, spec.get());
  AddCommonFlags(command, flags.get());
  command.Runs([=]() -> absl::Status {
    spec->seed = flags->seed;
    PT_TRY(TakeNamedWeights(spec.get(), *flags, false));
    return Inspect(*spec, *inspect, *flags);
  });
}

}  // namespace pocketune::cli
