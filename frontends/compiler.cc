// The one place that orders all stages of a compilation.
#include "pocketune/compiler.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/autodiff.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/clock.h"
#include "engine/base/file_io.h"
#include "frontends/auto_scheme.h"
#include "frontends/micro_batch.h"
#include "frontends/model.h"
#include "frontends/training.h"
#include "frontends/ways.h"
#include "graph/lower/plan_writer.h"
#include "graph/memory/liveness.h"
#include "graph/memory/memory_report.h"
#include "graph/passes/pass_manager.h"
#include "graph/passes/rewrite.h"
#include "sparse_bp/scheme.h"

namespace pocketune {
namespace {

absl::StatusOr<Isa> ParseIsa(const std::string& text) {
  if (const std::optional<Isa> isa = IsaNamed(text)) return *isa;
  return absl::InvalidArgumentError(
      absl::StrCat("isa: unknown level (got ", text, ", want auto, avx512, avx2, sse4 or neon)"));
}

// Evaluation drops nothing: dropout is the identity there.
void RemoveDropout(Graph& graph) {
  std::vector<bool> keep(graph.nodes.size(), true);
  Replacer replacer(graph);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    replacer.Update(graph.nodes[i]);
    if (graph.nodes[i].op != OpKind::kDropout) continue;
    keep[i] = false;
    replacer.Replace(graph.nodes[i].results[0], graph.nodes[i].operands[0]);
  }
  graph.Compact(keep);
}

// `c.forward` starts as the model with the parameters that learn marked.
absl::Status MakeForward(Compilation& c) {
  if (c.batch_statistics) {
    const absl::Status status = RunPasses(c.forward, c.context, {"use_batch_statistics"});
    if (!status.ok()) return status;
  }
  return OptimizeForward(c.forward, c.context);
}

// `graph`: the model with the parameters that learn marked: statistics that follow the batches must
// not be folded into it either. Where memory matters, slices of the batch that need less are
// offered.
absl::Status MakeEvaluation(Compilation& c, Graph graph) {
  RemoveDropout(graph);
  absl::Status status = OptimizeForward(graph, c.context);
  if (!status.ok()) return status;
  std::vector<int> numbers = {1};
  if (c.slices_evaluation) {
    const std::vector<int> more = SlicesOf(c.model.spec.batch);
    numbers.insert(numbers.end(), more.begin(), more.end());
  }
  const std::vector<bool> all(graph.nodes.size(), true);
  for (const int slices : numbers) {
    absl::StatusOr<Graph> eval = slices == 1 ? graph : SlicePrefix(graph, all, slices);
    if (absl::IsUnimplemented(eval.status())) continue;  // the model mixes samples
    if (!eval.ok()) return eval.status();
    const absl::StatusOr<ValueId> loss = AttachLoss(c, *eval, {eval->FindOutput(kPrediction)});
    if (!loss.ok()) return loss.status();
    status = PlanGraph(*eval, c.context);
    if (!status.ok()) return status;
    c.evals.push_back(*std::move(eval));
  }
  return absl::OkStatus();
}

// All but the training schedule.
absl::Status MakeSchedules(Compilation& c) {
  const absl::StatusOr<UpdateScheme> scheme = ParseScheme(c.spec.scheme);
  if (!scheme.ok()) return scheme.status();
  c.batch_statistics = c.spec.batch_norm == BatchNormMode::kAuto
                           ? UsesBatchStatistics(*scheme)
                           : c.spec.batch_norm == BatchNormMode::kTrain;
  Graph marked = c.model.forward;
  absl::Status status = ApplyScheme(marked, *scheme);
  if (!status.ok()) return status;
  c.forward = marked;
  if (c.batch_statistics) {
    for (Value& value : marked.values) {
      const bool statistic =
          value.role == ParamRole::kNormMean || value.role == ParamRole::kNormVar;
      if (value.kind == ValueKind::kParam && statistic) value.trainable = true;
    }
  }
  status = MakeForward(c);
  return status.ok() ? MakeEvaluation(c, std::move(marked)) : status;
}

std::vector<Value> ModelParams(const Graph& graph) {
  std::vector<Value> params;
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kParam) params.push_back(value);
  }
  return params;
}

PlanFigures FiguresOf(const Compilation& c, const TrainPlan& plan) {
  const int64_t batch = c.model.spec.batch;
  const Graph& train = plan.train;
  PlanFigures figures;
  figures.params = CountParams(c.model.forward);
  // Statistics and states are no parameters.
  figures.trainable_params = CountTrainableParams(train);
  figures.forward_macs = MacsOf(train, Phase::kForward) / batch;
  figures.backward_macs = MacsOf(train, Phase::kBackward) / batch;
  figures.arena_bytes = plan.sizes.arena_bytes;
  figures.arena_lower_bound = std::max(LivenessOf(train).lower_bound_bytes,
                                       LivenessOf(c.evals[plan.eval]).lower_bound_bytes);
  figures.param_bytes = plan.sizes.param_bytes;
  figures.optimizer_bytes = plan.sizes.optimizer_bytes;
  figures.packed_bytes = plan.sizes.packed_bytes;
  figures.predicted_peak_bytes = plan.sizes.predicted_peak_bytes;
  figures.batch_statistics = c.batch_statistics;
  figures.steps = static_cast<int>(train.nodes.size());
  figures.micro_batch = MicroBatchOf(plan.slicing.batch, c.model.spec.batch);
  figures.prefix_micro_batch = MicroBatchOf(plan.slicing.prefix, c.model.spec.batch);
  figures.saved_bits = plan.saved_bits;
  figures.narrowed_activations = plan.narrowed;
  figures.step_cost_ms = plan.step_ns / 1e6;
  figures.scheme = c.spec.scheme;
  return figures;
}

absl::Status CheckTuning(const Tuning& tuning, const Target& target, Isa isa) {
  const std::string level = NameOf(isa == Isa::kAuto ? CurrentIsa() : isa);
  if (tuning.isa == level && tuning.threads == target.threads) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "tuning: measured at another instruction set or number of threads (got ", tuning.isa, " and ",
      tuning.threads, ", want ", level, " and ", target.threads, "); measure again"));
}

// Kernels, threads and passes as the target wants them. `choices` outlives the compilation.
absl::Status SetTarget(Compilation& c, KernelChoices* choices) {
  const absl::StatusOr<Isa> isa = ParseIsa(c.target.isa);
  if (!isa.ok()) return isa.status();
  if (c.target.threads < 1) return absl::InvalidArgumentError("threads: want at least 1");
  if (c.target.memory_bytes < 0) return absl::InvalidArgumentError("memory: want at least 0 bytes");
  if (c.target.cache_bytes < 1) return absl::InvalidArgumentError("cache: want at least 1 byte");
  c.context.kernels = CpuKernels();
  c.context.cached_bytes = c.target.cache_bytes;
  c.context.isa = *isa;
  c.context.slots = c.target.threads;
  if (c.target.keep_order) c.context.disabled.push_back("reorder");
  if (c.target.tuning == nullptr) return absl::OkStatus();
  if (absl::Status status = CheckTuning(*c.target.tuning, c.target, *isa); !status.ok()) {
    return status;
  }
  for (const auto& [op, entry] : c.target.tuning->entries) (*choices)[op] = entry.kernel;
  c.context.choices = choices;
  return absl::OkStatus();
}

// A compilation up to the choice of the training schedule.
struct Start {
  Start(const Model::Impl& model, const TrainSpec& spec, const Target& target,
        const std::string& metadata)
      : c{.model = model,
          .spec = spec,
          .target = target,
          .metadata = metadata,
          .slices_evaluation =
              target.memory_bytes > 0 || spec.micro_batch > 0 || spec.saved_bits != kAllBits,
          .chooses = target.memory_bytes > 0,
          .model_params = ModelParams(model.forward)} {}
  Start(const Start&) = delete;
  Start& operator=(const Start&) = delete;

  absl::Status Run() {
    absl::Status status = SetTarget(c, &choices);
    if (!status.ok()) return status;
    status = MakeSchedules(c);
    if (!status.ok()) return status;
    absl::StatusOr<Ways> made = Ways::Of(c, c.context);
    if (!made.ok()) return made.status();
    ways.emplace(*std::move(made));
    return absl::OkStatus();
  }

  Compilation c;
  KernelChoices choices;
  std::optional<Ways> ways;
};

absl::StatusOr<Plan> CompilePlan(const Model::Impl& model, const TrainSpec& spec,
                                 const Target& target, const std::string& metadata) {
  const double begin = NowSeconds();
  Start start(model, spec, target, metadata);
  if (absl::Status status = start.Run(); !status.ok()) return status;
  Compilation& c = start.c;
  Plan plan;
  MemoryTrade trade;
  const absl::StatusOr<TrainPlan> training = FitTraining(c, *start.ways, &trade);
  if (!training.ok()) return training.status();
  plan.figures = FiguresOf(c, *training);
  plan.figures.memory = std::move(trade);
  if (spec.clip_norm > 0) {
    const absl::StatusOr<int64_t> bytes = CostOfClipping(c, *start.ways);
    if (!bytes.ok()) return bytes.status();
    plan.figures.clip_norm_bytes = *bytes;
  }
  absl::StatusOr<std::string> bytes = WritePlan(PlanSpecOf(c, *training));
  if (!bytes.ok()) return bytes.status();
  plan.bytes = *std::move(bytes);
  c.context.records.insert(c.context.records.end(), training->passes.begin(),
                           training->passes.end());
  for (const PassRecord& record : c.context.records) {
    plan.passes.push_back({record.pass, record.ms, record.nodes_before, record.nodes_after});
  }
  plan.memory_map_json = MemoryMapJson(training->train);
  plan.figures.compile_ms = 1e3 * (NowSeconds() - begin);
  return plan;
}

// Under the richest scheme that fits in the target's budget.
absl::StatusOr<Plan> CompileAuto(const Model::Impl& model, const TrainSpec& asked,
                                 const Target& target, const std::string& metadata) {
  TrainSpec spec = asked;
  if (target.memory_bytes == 0) {
    return absl::InvalidArgumentError("scheme auto: it needs a memory budget (--memory SIZE)");
  }
  absl::StatusOr<Plan> best = absl::OutOfRangeError("");
  absl::Status smallest;  // of the last scheme that does not fit, which has the least
  const auto fits = [&](const std::string& scheme) -> absl::StatusOr<bool> {
    spec.scheme = scheme;
    absl::StatusOr<Plan> plan = CompilePlan(model, spec, target, metadata);
    if (!plan.ok() && !absl::IsOutOfRange(plan.status())) return plan.status();
    if (plan.ok()) {
      best = std::move(plan);
    } else {
      smallest = plan.status();
    }
    return best.ok() && best->figures.scheme == scheme;
  };
  const absl::StatusOr<std::string> scheme = RichestScheme(model.forward, fits);
  if (!scheme.ok()) return scheme.status();
  return scheme->empty() ? absl::StatusOr<Plan>(smallest) : std::move(best);
}

absl::StatusOr<std::vector<ParetoPoint>> ParetoOf(const Model::Impl& model, const TrainSpec& spec,
                                                  const Target& target) {
  const std::string metadata = "{}";
  Start start(model, spec, target, metadata);
  start.c.slices_evaluation = true;
  start.c.chooses = true;
  if (absl::Status status = start.Run(); !status.ok()) return status;
  return ParetoOf(start.c, *start.ways);
}

}  // namespace

Outcome<bool> Plan::Write(const std::string& path) const {
  const std::span<const uint8_t> chunk(reinterpret_cast<const uint8_t*>(bytes.data()),
                                       bytes.size());
  const Status status = WriteFileAtomically(path.c_str(), std::span(&chunk, 1));
  if (status.ok()) return true;
  return Outcome<bool>(status.code(), absl::StrCat(path, ": ", status.message(), ": ",
                                                   std::strerror(status.detail())));
}

Outcome<Plan> Compile(const Model& model, const TrainSpec& spec, const Target& target,
                      const std::string& metadata) {
  const auto compile = spec.scheme == "auto" ? CompileAuto : CompilePlan;
  absl::StatusOr<Plan> plan = compile(model.impl(), spec, target, metadata);
  if (!plan.ok()) return ToOutcome<Plan>(plan.status());
  return *std::move(plan);
}

Outcome<std::vector<ParetoPoint>> FindPareto(const Model& model, const TrainSpec& spec,
                                             const Target& target) {
  absl::StatusOr<std::vector<ParetoPoint>> points = ParetoOf(model.impl(), spec, target);
  if (!points.ok()) return ToOutcome<std::vector<ParetoPoint>>(points.status());
  return *std::move(points);
}

}  // namespace pocketune
