#include "graph/compile/pipeline.h"

#include <algorithm>
#include <utility>

#include "autodiff/autodiff.h"
#include "autodiff/clip_norm.h"
#include "autodiff/loss.h"
#include "autodiff/optimizers.h"
#include "graph/memory/step_cost.h"
#include "graph/passes/micro_batch.h"
#include "graph/passes/pass_manager.h"
#include "sparse_bp/scheme.h"

namespace pocketune {
namespace {

absl::StatusOr<OptimizerSpec> OptimizerOf(const TrainSpec& spec) {
  absl::StatusOr<OptimizerKind> kind = ParseOptimizer(spec.optimizer);
  if (!kind.ok()) return kind.status();
  OptimizerSpec optimizer;
  optimizer.kind = *kind;
  optimizer.momentum = spec.momentum;
  optimizer.weight_decay = spec.weight_decay;
  optimizer.decay_bias_and_norm = spec.decay_bias_and_norm;
  for (const ParamGroupSpec& group : spec.groups) {
    optimizer.groups.push_back({.pattern = group.pattern, .lr_scale = group.lr_scale});
  }
  return optimizer;
}

// To one prediction, or to those of equal slices of the batch.
absl::StatusOr<ValueId> AttachLoss(const Compilation& c, Graph& graph,
                                   const std::vector<ValueId>& predictions) {
  return c.model.task == Task::kReconstruction
             ? AttachSquaredLoss(graph, predictions, c.model.loss)
             : AttachClassificationLoss(graph, predictions, c.spec.label_smoothing, c.model.loss);
}

// `c.forward` starts as the model with the parameters that learn marked.
absl::Status MakeForward(Compilation& c) {
  if (c.batch_statistics) {
    const absl::Status status = RunPasses(c.forward, c.context, {"use_batch_statistics"});
    if (!status.ok()) return status;
  }
  return OptimizeForward(c.forward, c.context);
}

// `forward`: ready for evaluation, without a loss.
absl::Status MakePrediction(Compilation& c, const Graph& forward) {
  if (c.model.batch == 1 || !c.target.predicts_one) return absl::OkStatus();
  absl::StatusOr<Graph> predict = SingleSample(forward, c.model.batch);
  if (absl::IsUnimplemented(predict.status())) return absl::OkStatus();
  if (!predict.ok()) return predict.status();
  // What evaluation packs serves one sample too; weights are not packed for predictions alone.
  const KernelStateSet states = StatesOf(c.evals.front(), c.context);
  PassContext context = c.context;
  context.states = &states;
  const absl::Status status = PlanGraph(*predict, context);
  c.context.records = std::move(context.records);
  if (status.ok()) c.predict = *std::move(predict);
  return status;
}

// `graph`: the model with the parameters that learn marked, statistics that follow the batches
// among them.
absl::Status MakeEvaluation(Compilation& c, Graph graph) {
  absl::Status status = RunPasses(graph, c.context, {"remove_dropout"});
  if (status.ok()) status = OptimizeForward(graph, c.context);
  if (!status.ok()) return status;
  std::vector<int> numbers = {1};
  if (c.slices_evaluation) {
    const std::vector<int> more = SlicesOf(c.model.batch);
    numbers.insert(numbers.end(), more.begin(), more.end());
  }
  const std::vector<bool> all(graph.nodes.size(), true);
  for (const int slices : numbers) {
    absl::StatusOr<Graph> eval = slices == 1 ? graph : SlicePrefix(graph, all, slices);
    if (absl::IsUnimplemented(eval.status())) continue;  // the model mixes samples
    if (!eval.ok()) return eval.status();
    const absl::StatusOr<ValueId> loss =
        AttachLoss(c, *eval, {eval->FindOutput(PortRole::kPrediction)});
    if (!loss.ok()) return loss.status();
    status = PlanGraph(*eval, c.context);
    if (!status.ok()) return status;
    c.evals.push_back(*std::move(eval));
  }
  return MakePrediction(c, graph);
}

// What a run has learned before is what frozen layers are folded from.
void TakeLearned(const Model::Impl& model, Graph& graph) {
  for (Value& value : graph.values) {
    if (value.kind != ValueKind::kParam) continue;
    const auto found = model.learned.find(value.name);
    if (found != model.learned.end()) value.data = found->second;
  }
}

}  // namespace

absl::Status PrepareForward(Compilation& c) {
  const absl::StatusOr<UpdateScheme> scheme = ParseScheme(c.spec.scheme);
  if (!scheme.ok()) return scheme.status();
  c.batch_statistics = c.spec.batch_norm == BatchNormMode::kAuto
                           ? UsesBatchStatistics(*scheme)
                           : c.spec.batch_norm == BatchNormMode::kTrain;
  Graph marked = c.model.forward;
  absl::Status status = ApplyScheme(marked, *scheme);  // by the model's own weights
  if (!status.ok()) return status;
  TakeLearned(c.model, marked);
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

absl::StatusOr<Training> MakeTraining(const Compilation& c, PassContext& context,
                                      const Slicing& slicing, double clip_norm) {
  Training training;
  training.optimized = c.forward;
  training.slicing = slicing;
  Graph& graph = training.optimized;
  if (slicing.prefix > 1) {
    absl::StatusOr<Graph> sliced = SlicePrefix(c.forward, FrozenPrefix(c.forward), slicing.prefix);
    if (!sliced.ok()) return sliced.status();
    graph = *std::move(sliced);
  }
  std::vector<ValueId> predictions = {graph.FindOutput(PortRole::kPrediction)};
  std::vector<int> slice_of;
  if (slicing.batch > 1) {
    absl::StatusOr<SplitForward> split =
        SplitBatch(c.forward, c.forward.FindOutput(PortRole::kPrediction), slicing.batch);
    if (!split.ok()) return split.status();
    graph = std::move(split->graph);
    predictions = std::move(split->predictions);
    slice_of = std::move(split->slice_of);
  }
  const absl::StatusOr<ValueId> loss = AttachLoss(c, graph, predictions);
  if (!loss.ok()) return loss.status();
  absl::StatusOr<std::vector<ParamGrad>> grads = BuildBackward(graph, *loss, LearningParams(graph));
  if (!grads.ok()) return grads.status();
  absl::Status status;
  if (clip_norm > 0) status = ClipGlobalNorm(graph, clip_norm, &*grads);
  if (!status.ok()) return status;
  const absl::StatusOr<OptimizerSpec> optimizer = OptimizerOf(c.spec);
  if (!optimizer.ok()) return optimizer.status();
  status = AppendUpdates(graph, *grads, *optimizer);
  if (!status.ok()) return status;
  if (slicing.batch > 1) OrderBySlice(graph, slice_of, slicing.batch);
  status = OptimizeGraph(graph, context);
  if (!status.ok()) return status;
  return training;
}

absl::StatusOr<Training> NarrowTraining(Training training, PassContext& context, int bits) {
  training.saved_bits = bits;
  if (bits == kAllBits) return training;
  context.saved_bits = bits;
  Graph& graph = training.optimized;
  const absl::Status status = NarrowSaved(graph, context);
  if (!status.ok()) return status;
  const auto narrows = [](const Node& node) { return node.op == OpKind::kNarrow; };
  training.narrowed =
      static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(), narrows));
  return training;
}

absl::StatusOr<TrainPlan> WithPrediction(const Compilation& c, TrainPlan plan) {
  if (!c.predict.has_value() || c.predict->arena_bytes > plan.sizes.arena_bytes) return plan;
  plan.predicts = true;
  if (c.target.memory_bytes == 0) return plan;
  const absl::StatusOr<PlanSizes> sizes = SizesOfPlan(PlanSpecOf(c, plan));
  if (!sizes.ok()) return sizes.status();
  plan.sizes = *sizes;
  return plan;
}

PlanSpec PlanSpecOf(const Compilation& c, const TrainPlan& plan) {
  return {.name = c.model.name,
          .metadata_json = c.metadata,
          .slots = c.context.slots,
          .isa = c.context.isa,
          .kernels = c.context.kernels,
          .train = &plan.train,
          .eval = &c.evals[plan.eval],
          .predict = plan.predicts ? &*c.predict : nullptr,
          .model_params = &c.model_params,
          .learned = &c.model.learned,
          .origin = c.origin};
}

absl::StatusOr<TrainPlan> PlanTraining(const Compilation& c, const Training& training,
                                       int64_t live_target_bytes) {
  PassContext context = c.context;
  context.live_target_bytes = live_target_bytes;
  TrainPlan plan;
  plan.train = training.optimized;
  absl::Status status = ScheduleGraph(plan.train, context);
  if (!status.ok()) return status;
  plan.passes.assign(context.records.begin() + static_cast<int64_t>(c.context.records.size()),
                     context.records.end());
  while (plan.eval + 1 < c.evals.size() &&
         c.evals[plan.eval].arena_bytes > plan.train.arena_bytes) {
    ++plan.eval;
  }
  const absl::StatusOr<PlanSizes> sizes = SizesOfPlan(PlanSpecOf(c, plan));
  if (!sizes.ok()) return sizes.status();
  plan.sizes = *sizes;
  plan.step_ns = CostNs(plan.train);
  plan.second_runs =
      static_cast<int>(plan.train.nodes.size()) - static_cast<int>(training.optimized.nodes.size());
  plan.recomputed_macs =
      MacsOf(plan.train, Phase::kBackward) - MacsOf(training.optimized, Phase::kBackward);
  plan.slicing = training.slicing;
  plan.saved_bits = training.saved_bits;
  plan.narrowed = training.narrowed;
  return plan;
}

}  // namespace pocketune
