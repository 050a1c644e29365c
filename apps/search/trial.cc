#include "apps/search/trial.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "apps/train/evaluator.h"
#include "apps/train/exit_code.h"
#include "engine/base/median.h"
#include "pocketune/cpu.h"

namespace pocketune {
namespace {

constexpr int64_t kTimedSteps = 12;

}  // namespace

absl::StatusOr<Plan> TrialRunner::CompilePlan(const std::string& scheme) const {
  TrainSpec train = spec_.train;
  train.scheme = scheme;
  Outcome<Plan> plan = ::pocketune::Compile(*model_, train, target_);
  if (!plan.ok()) return As(ExitCode::kUsage, plan);
  return std::move(plan.value());
}

absl::StatusOr<PlanFigures> TrialRunner::Compile(const std::string& scheme) const {
  if (options_.bound.has_value()) return options_.bound->compile(scheme, "", 0);
  absl::StatusOr<Plan> plan = CompilePlan(scheme);
  if (!plan.ok()) return plan.status();
  return plan->figures;
}

absl::StatusOr<PlanFigures> TrialRunner::WritePlan(const std::string& scheme) const {
  if (options_.bound.has_value()) {
    return options_.bound->compile(scheme, options_.plan_path, options_.bound->plan_bytes);
  }
  absl::StatusOr<Plan> plan = CompilePlan(scheme);
  if (!plan.ok()) return plan.status();
  const Outcome<bool> written = plan->Write(options_.plan_path);
  if (!written.ok()) return As(ExitCode::kIo, written);
  return plan->figures;
}

absl::StatusOr<std::unique_ptr<Session>> TrialRunner::Open(const std::string& scheme) {
  const absl::StatusOr<PlanFigures> figures = WritePlan(scheme);
  if (!figures.ok()) return figures.status();
  if (options_.bound.has_value()) {
    division_ = options_.bound->divide(figures->predicted_peak_bytes);
    PT_TRY(MakeSources());  // they may be smaller or larger beside this plan
  }
  Result<std::unique_ptr<Session>> session = OpenCpuSession(
      options_.plan_path.c_str(), {.threads = target_.threads, .seed = spec_.seed, .kernels = {}});
  if (!session.ok()) return As(ExitCode::kModel, options_.plan_path, session.status());
  return std::move(session).value();
}

absl::Status TrialRunner::MakeSources() {
  const Shape image = model_->data_shape();
  const absl::StatusOr<data::Transform> train = MakeTransform(spec_.data, image, /*train=*/true);
  if (!train.ok()) return train.status();
  const absl::StatusOr<data::Transform> eval = MakeTransform(spec_.data, image, /*train=*/false);
  if (!eval.ok()) return eval.status();
  pictures_ = std::make_unique<data::DatasetSource>(
      dataset_, *train, data::Split::kTrain,
      data::DatasetSourceOptions{.cache_bytes = PictureBytes(), .keeps_all = true});
  const int64_t eval_bytes = options_.bound.has_value() ? 0 : PictureBytes();
  validation_ = std::make_unique<data::DatasetSource>(
      dataset_, *eval, data::Split::kVal,
      data::DatasetSourceOptions{.cache_bytes = eval_bytes, .keeps_all = true});
  return absl::OkStatus();
}

absl::Status TrialRunner::Prepare() {
  if (dataset_->Indices(data::Split::kVal).empty()) {
    return Fail(ExitCode::kData, "search: too few samples in split val (got 0, want at least 1)");
  }
  if (!options_.bound.has_value()) {
    division_ = {.loader_threads = std::max(1, target_.threads - 1), .queue_batches = 3};
    PT_TRY(MakeSources());
  }
  absl::StatusOr<std::unique_ptr<Session>> session = Open("head");
  if (!session.ok()) return session.status();
  double step_ms = 0;
  const absl::StatusOr<bool> finite = Train(**session, options_.head_steps, &step_ms);
  if (!finite.ok()) return finite.status();
  if (!*finite || !(*session)->FindNotFinite().empty()) {
    return Fail(ExitCode::kNumerics, "search: training the classifier alone diverges; lower --lr");
  }
  for (const ParamInfo& param : (*session)->params()) {
    if (param.state || !param.trainable) continue;
    std::vector<float> values(param.shape.elems());
    PT_TRY(As(ExitCode::kInternal, "search", (*session)->ReadParam(param.name, values)));
    head_.push_back({std::string(param.name), std::move(values)});
  }
  return absl::OkStatus();
}

TrainerOptions TrialRunner::OptionsOf(bool caches) const {
  TrainerOptions options = {.loader_threads = division_.loader_threads,
                            .queue_batches = division_.queue_batches,
                            .stop_signal = options_.stop_signal};
  if (!caches) return options;
  options.prefix_cache = {.where = "auto"};
  if (options_.bound.has_value()) {
    options.prefix_cache.memory_bytes = division_.cache_bytes - PictureBytes();
    options.prefix_cache.counts_upkeep = true;
  }
  return options;
}

// A number that is not finite is an answer here, not an error.
absl::StatusOr<bool> TrialRunner::Explain(const Status& status, const Trainer& trainer) const {
  const TrainFault& fault = trainer.fault();
  if (fault.part == TrainFault::Part::kGuard) return false;
  if (fault.part != TrainFault::Part::kSource) return As(ExitCode::kInternal, "search", status);
  std::vector<int64_t> bad;
  for (const BadSample& sample : trainer.bad_samples()) bad.push_back(sample.sample);
  return As(ExitCode::kData, pictures_->Explain(status, fault.sample, bad));
}

// The first steps, all from pictures.
absl::StatusOr<bool> TrialRunner::TrainTimed(Trainer& trainer, double* step_ms) {
  while (trainer.state().step < std::min(kTimedSteps, trainer.total_steps())) {
    if (Stopped()) return absl::CancelledError("stopped by a signal");
    const Result<std::optional<TrainEnd>> step = trainer.Step();
    *step_ms = Median(trainer.step_ms());
    if (!step.ok()) return Explain(step.status(), trainer);
  }
  return true;
}

absl::StatusOr<bool> TrialRunner::TrainToTheEnd(Trainer& trainer) const {
  const Result<TrainEnd> end = trainer.Run();
  if (!end.ok()) return Explain(end.status(), trainer);
  if (end.value() == TrainEnd::kStopped) return absl::CancelledError("stopped by a signal");
  return true;
}

absl::StatusOr<bool> TrialRunner::Train(Session& session, int64_t steps, double* step_ms) {
  // Falls to zero, as in a whole run: else the last steps' noise hides small gains.
  const TrainingSpec spec = {
      .lr = spec_.lr, .steps = steps, .seed = spec_.seed, .keep_best = false};
  const auto make = [&](bool caches) {
    return Trainer::Create(&session, pictures_.get(), nullptr, nullptr, spec, {},
                           OptionsOf(caches));
  };
  Result<std::unique_ptr<Trainer>> timed = make(/*caches=*/false);
  if (!timed.ok()) return As(ExitCode::kInternal, "search", timed.status());
  const absl::StatusOr<bool> finite = TrainTimed(*timed.value(), step_ms);
  if (!finite.ok() || !*finite) return finite;
  const int64_t per_epoch = timed.value()->steps_per_epoch();
  if (!options_.cache_prefix || steps <= kTimedSteps + per_epoch) {
    return TrainToTheEnd(*timed.value());
  }
  const TrainState state = timed.value()->state();
  timed.value().reset();  // with its loader, before the next has one
  Result<std::unique_ptr<Trainer>> rest = make(/*caches=*/true);
  if (!rest.ok()) return As(ExitCode::kInternal, "search", rest.status());
  rest.value()->set_state(state);
  return TrainToTheEnd(*rest.value());
}

absl::StatusOr<TrialResult> TrialRunner::Evaluate(Session& session) {
  EvaluationFault fault;
  const Result<Evaluation> eval =
      ::pocketune::Evaluate(session, *validation_, loader_size(), &fault);
  if (!eval.ok() && fault.of_source) {
    return As(ExitCode::kData, validation_->Explain(eval.status(), fault.sample, fault.bad));
  }
  if (!eval.ok()) return As(ExitCode::kInternal, "search", eval.status());
  if (eval.value().samples == 0) {
    return Fail(ExitCode::kData, "search: no picture of the validation split is good");
  }
  TrialResult result;
  result.val_loss = eval.value().loss;
  result.val_accuracy = eval.value().accuracy();
  return result;
}

absl::StatusOr<TrialResult> TrialRunner::Run(const std::string& scheme, int64_t steps) {
  absl::StatusOr<std::unique_ptr<Session>> session = Open(scheme);
  if (!session.ok()) return session.status();
  for (const auto& [name, values] : head_) {
    PT_TRY(As(ExitCode::kInternal, "search", (*session)->WriteParam(name, values)));
  }
  TrialResult result;
  const absl::StatusOr<bool> finite = Train(**session, steps, &result.step_ms);
  if (!finite.ok()) return finite.status();
  result.val_loss = std::numeric_limits<double>::infinity();
  if (*finite) {
    absl::StatusOr<TrialResult> evaluated = Evaluate(**session);
    if (!evaluated.ok()) return evaluated.status();
    result.val_loss = evaluated->val_loss;
    result.val_accuracy = evaluated->val_accuracy;
    if (!std::isfinite(result.val_loss)) result.val_loss = std::numeric_limits<double>::infinity();
  }
  return result;
}

}  // namespace pocketune
