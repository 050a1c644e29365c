// The one place that orders all stages of a compilation.
#include "pocketune/compiler.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/autodiff.h"
#include "autodiff/loss.h"
#include "autodiff/optimizers.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/file_io.h"
#include "frontends/model.h"
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

absl::StatusOr<OptimizerSpec> OptimizerOf(const TrainSpec& spec) {
  absl::StatusOr<OptimizerKind> kind = ParseOptimizer(spec.optimizer);
  if (!kind.ok()) return kind.status();
  OptimizerSpec optimizer;
  optimizer.kind = *kind;
  optimizer.momentum = spec.momentum;
  optimizer.weight_decay = spec.weight_decay;
  for (const ParamGroupSpec& group : spec.groups) {
    optimizer.groups.push_back({.pattern = group.pattern, .lr_scale = group.lr_scale});
  }
  return optimizer;
}

// The schedules of one plan while they are made.
struct Compilation {
  const Model::Impl& model;
  const TrainSpec& spec;
  PassContext context;
  bool batch_statistics = false;
  Graph train;
  Graph eval;
};

absl::Status AttachLoss(const Compilation& c, Graph& graph, ValueId* loss) {
  const ValueId logits = graph.FindOutput("logits");
  absl::StatusOr<ValueId> attached =
      c.model.task == Task::kReconstruction
          ? AttachSquaredLoss(graph, logits)
          : AttachClassificationLoss(graph, logits, c.spec.label_smoothing);
  if (!attached.ok()) return attached.status();
  *loss = *attached;
  return absl::OkStatus();
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

absl::Status MakeTraining(Compilation& c) {
  if (c.batch_statistics) {
    const absl::Status status = RunPasses(c.train, c.context, {"use_batch_statistics"});
    if (!status.ok()) return status;
  }
  absl::Status status = OptimizeForward(c.train, c.context);
  if (!status.ok()) return status;
  ValueId loss = kNone;
  status = AttachLoss(c, c.train, &loss);
  if (!status.ok()) return status;
  const absl::StatusOr<std::vector<ParamGrad>> grads =
      BuildBackward(c.train, loss, LearningParams(c.train));
  if (!grads.ok()) return grads.status();
  const absl::StatusOr<OptimizerSpec> optimizer = OptimizerOf(c.spec);
  if (!optimizer.ok()) return optimizer.status();
  status = AppendUpdates(c.train, *grads, *optimizer);
  if (!status.ok()) return status;
  return PlanGraph(c.train, c.context);
}

// `c.eval` starts as the model with the parameters that learn marked: statistics that follow the
// batches must not be folded into it either.
absl::Status MakeEvaluation(Compilation& c) {
  RemoveDropout(c.eval);
  absl::Status status = OptimizeForward(c.eval, c.context);
  if (!status.ok()) return status;
  ValueId loss = kNone;
  status = AttachLoss(c, c.eval, &loss);
  if (!status.ok()) return status;
  return PlanGraph(c.eval, c.context);
}

absl::Status MakeSchedules(Compilation& c) {
  const absl::StatusOr<UpdateScheme> scheme = ParseScheme(c.spec.scheme);
  if (!scheme.ok()) return scheme.status();
  c.batch_statistics = c.spec.batch_norm == BatchNormMode::kAuto
                           ? UsesBatchStatistics(*scheme)
                           : c.spec.batch_norm == BatchNormMode::kTrain;
  Graph marked = c.model.forward;
  absl::Status status = ApplyScheme(marked, *scheme);
  if (!status.ok()) return status;
  c.train = marked;
  if (c.batch_statistics) {
    for (Value& value : marked.values) {
      const bool statistic =
          value.role == ParamRole::kNormMean || value.role == ParamRole::kNormVar;
      if (value.kind == ValueKind::kParam && statistic) value.trainable = true;
    }
  }
  c.eval = std::move(marked);
  status = MakeTraining(c);
  return status.ok() ? MakeEvaluation(c) : status;
}

std::vector<Value> ModelParams(const Graph& graph) {
  std::vector<Value> params;
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kParam) params.push_back(value);
  }
  return params;
}

PlanFigures FiguresOf(const Compilation& c, const PlanSizes& sizes) {
  const int64_t batch = c.model.spec.batch;
  PlanFigures figures;
  figures.params = CountParams(c.model.forward);
  // Statistics and states are no parameters.
  figures.trainable_params = CountTrainableParams(c.train);
  figures.forward_macs = MacsOf(c.train, Phase::kForward) / batch;
  figures.backward_macs = MacsOf(c.train, Phase::kBackward) / batch;
  figures.arena_bytes = sizes.arena_bytes;
  figures.arena_lower_bound =
      std::max(LivenessOf(c.train).lower_bound_bytes, LivenessOf(c.eval).lower_bound_bytes);
  figures.param_bytes = sizes.param_bytes;
  figures.optimizer_bytes = sizes.optimizer_bytes;
  figures.packed_bytes = sizes.packed_bytes;
  figures.predicted_peak_bytes = sizes.predicted_peak_bytes;
  figures.batch_statistics = c.batch_statistics;
  figures.steps = static_cast<int>(c.train.nodes.size());
  return figures;
}

absl::Status CheckTuning(const Tuning& tuning, const Target& target, Isa isa) {
  const std::string level = NameOf(isa == Isa::kAuto ? CurrentIsa() : isa);
  if (tuning.isa == level && tuning.threads == target.threads) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "tuning: measured at another instruction set or number of threads (got ", tuning.isa, " and ",
      tuning.threads, ", want ", level, " and ", target.threads, "); measure again"));
}

absl::StatusOr<Plan> CompilePlan(const Model::Impl& model, const TrainSpec& spec,
                                 const Target& target, const std::string& metadata) {
  const auto begin = std::chrono::steady_clock::now();
  const absl::StatusOr<Isa> isa = ParseIsa(target.isa);
  if (!isa.ok()) return isa.status();
  if (target.threads < 1) return absl::InvalidArgumentError("threads: want at least 1");
  Compilation c{model, spec, {}, false, {}, {}};
  c.context.kernels = CpuKernels();
  c.context.isa = *isa;
  c.context.slots = target.threads;
  KernelChoices choices;
  if (target.tuning != nullptr) {
    if (absl::Status status = CheckTuning(*target.tuning, target, *isa); !status.ok())
      return status;
    for (const auto& [op, entry] : target.tuning->entries) choices[op] = entry.kernel;
    c.context.choices = &choices;
  }
  if (target.keep_order) c.context.disabled.push_back("reorder");
  absl::Status status = MakeSchedules(c);
  if (!status.ok()) return status;

  const std::vector<Value> params = ModelParams(model.forward);
  PlanSpec plan_spec{.name = model.spec.name,
                     .metadata_json = metadata,
                     .slots = target.threads,
                     .isa = *isa,
                     .kernels = c.context.kernels,
                     .train = &c.train,
                     .eval = &c.eval,
                     .model_params = &params};
  PlanSizes sizes;
  absl::StatusOr<std::string> bytes = WritePlan(plan_spec, &sizes);
  if (!bytes.ok()) return bytes.status();
  Plan plan;
  plan.bytes = *std::move(bytes);
  plan.figures = FiguresOf(c, sizes);
  for (const PassRecord& record : c.context.records) {
    plan.passes.push_back({record.pass, record.ms, record.nodes_before, record.nodes_after});
  }
  plan.memory_map_json = MemoryMapJson(c.train);
  plan.figures.compile_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return plan;
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
  absl::StatusOr<Plan> plan = CompilePlan(model.impl(), spec, target, metadata);
  if (!plan.ok()) return ToOutcome<Plan>(plan.status());
  return *std::move(plan);
}

}  // namespace pocketune
