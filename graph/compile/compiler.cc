// From what is asked for to a plan: runs the pipeline, chooses, and writes.
#include "pocketune/compiler.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/clock.h"
#include "engine/base/file_io.h"
#include "graph/compile/pipeline.h"
#include "graph/compile/plan_choice.h"
#include "graph/compile/training_variants.h"
#include "graph/ir/model.h"
#include "graph/ir/model_identity.h"
#include "graph/ir/outcome_bridge.h"
#include "graph/lower/plan_writer.h"
#include "graph/memory/liveness.h"
#include "graph/memory/memory_report.h"
#include "graph/passes/micro_batch.h"
#include "sparse_bp/auto_scheme.h"
#include "sparse_bp/scheme.h"

namespace pocketune {
namespace {

absl::StatusOr<Isa> ParseIsa(const std::string& text) {
  if (const std::optional<Isa> isa = IsaNamed(text)) return *isa;
  return absl::InvalidArgumentError(
      absl::StrCat("isa: unknown level (got ", text, ", want auto, avx512, avx2, sse4 or neon)"));
}

std::vector<Value> ModelParams(const Graph& graph) {
  std::vector<Value> params;
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kParam) params.push_back(value);
  }
  return params;
}

PlanFigures FiguresOf(const Compilation& c, const TrainPlan& plan) {
  const int64_t batch = c.model.batch;
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
  figures.checkpoint_bytes = plan.sizes.checkpoint_bytes;
  figures.predicted_peak_bytes = plan.sizes.predicted_peak_bytes;
  figures.batch_statistics = c.batch_statistics;
  figures.predicts_one = plan.predicts;
  figures.steps = static_cast<int>(train.nodes.size());
  figures.micro_batch = MicroBatchOf(plan.slicing.batch, c.model.batch);
  figures.prefix_micro_batch = MicroBatchOf(plan.slicing.prefix, c.model.batch);
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
struct Preparation {
  Preparation(const Model::Impl& model, const TrainSpec& spec, const Target& target,
              const std::string& metadata)
      : c{.model = model,
          .spec = spec,
          .target = target,
          .metadata = metadata,
          .slices_evaluation =
              target.memory_bytes > 0 || spec.micro_batch > 0 || spec.saved_bits != kAllBits,
          .chooses = target.memory_bytes > 0,
          .model_params = ModelParams(model.forward)} {
    c.origin = {ModelIdentity(model.forward), WeightsIdentity(c.model_params), model.replaced_plan};
  }
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  absl::Status Run() {
    absl::Status status = SetTarget(c, &choices);
    if (!status.ok()) return status;
    status = PrepareForward(c);
    if (!status.ok()) return status;
    absl::StatusOr<TrainingVariants> made = TrainingVariants::Of(c, c.context);
    if (!made.ok()) return made.status();
    variants.emplace(*std::move(made));
    return absl::OkStatus();
  }

  Compilation c;
  KernelChoices choices;
  std::optional<TrainingVariants> variants;
};

absl::StatusOr<Plan> CompilePlan(const Model::Impl& model, const TrainSpec& spec,
                                 const Target& target, const std::string& metadata) {
  const double begin = NowSeconds();
  Preparation preparation(model, spec, target, metadata);
  if (absl::Status status = preparation.Run(); !status.ok()) return status;
  Compilation& c = preparation.c;
  Plan plan;
  MemoryTrade trade;
  absl::StatusOr<TrainPlan> training = FitTraining(c, *preparation.variants, &trade);
  if (!training.ok()) return training.status();
  absl::StatusOr<std::string> bytes = WritePlan(PlanSpecOf(c, *training), &training->sizes);
  if (!bytes.ok()) return bytes.status();
  plan.bytes = *std::move(bytes);
  plan.figures = FiguresOf(c, *training);
  plan.figures.memory = std::move(trade);
  if (spec.clip_norm > 0) {
    const absl::StatusOr<int64_t> bytes = CostOfClipping(c, *preparation.variants);
    if (!bytes.ok()) return bytes.status();
    plan.figures.clip_norm_bytes = *bytes;
  }
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
  Preparation preparation(model, spec, target, metadata);
  preparation.c.slices_evaluation = true;
  preparation.c.chooses = true;
  if (absl::Status status = preparation.Run(); !status.ok()) return status;
  return ParetoOf(preparation.c, *preparation.variants);
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
