#include "apps/search/trial.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "apps/train/evaluator.h"
#include "apps/train/exit_code.h"
#include "apps/train/lr_schedule.h"
#include "apps/train/trainer.h"
#include "engine/base/clock.h"
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
    loader_.reset();  // it may be smaller or larger beside this plan
    pictures_.reset();
    division_ = options_.bound->divide(figures->predicted_peak_bytes);
  }
  Result<std::unique_ptr<Session>> session = OpenCpuSession(
      options_.plan_path.c_str(), {.threads = target_.threads, .seed = spec_.seed, .kernels = {}});
  if (!session.ok()) return As(ExitCode::kModel, options_.plan_path, session.status());
  return std::move(session).value();
}

absl::Status TrialRunner::BindImages(Session& session, const data::Batch& batch) const {
  return As(ExitCode::kInternal, "search",
            session.Bind("image", batch.images.data(),
                         static_cast<int64_t>(batch.images.size() * sizeof(float))));
}

absl::Status TrialRunner::BindLabels(Session& session, const data::Batch& batch) const {
  PT_TRY(As(ExitCode::kInternal, "search",
            session.Bind("label", batch.labels.data(),
                         static_cast<int64_t>(batch.labels.size() * sizeof(int32_t)))));
  return As(ExitCode::kInternal, "search",
            session.Bind("weight", batch.weights.data(),
                         static_cast<int64_t>(batch.weights.size() * sizeof(float))));
}

// Of training; its pictures stay for the next where memory is not bounded.
absl::Status TrialRunner::MakeLoader() {
  if (pictures_ == nullptr) {
    pictures_ = std::make_shared<data::PictureCache>(dataset_->samples().size(), PictureBytes());
  }
  data::LoaderOptions options;
  options.batch = spec_.model.batch;
  options.pictures = pictures_;
  options.seed = spec_.seed;
  options.threads = division_.loader_threads;
  options.queue_batches = division_.queue_batches;
  options.drop_last = true;
  auto loader = data::BatchLoader::Create(dataset_, *transform_, options);
  if (!loader.ok()) return As(ExitCode::kData, loader.status());
  loader_ = *std::move(loader);
  return absl::OkStatus();
}

absl::Status TrialRunner::ForEachOfValidation(const OnBatch& fn) const {
  for (const data::Batch& batch : validation_) PT_TRY(fn(batch));
  if (!validation_.empty()) return absl::OkStatus();
  data::LoaderOptions options = data::LoaderOptions::Eval(data::Split::kVal, spec_.model.batch);
  options.threads = division_.loader_threads;
  options.queue_batches = division_.queue_batches;
  auto validation = data::BatchLoader::Create(dataset_, *eval_transform_, options);
  if (!validation.ok()) return As(ExitCode::kData, validation.status());
  for (;;) {
    absl::StatusOr<const data::Batch*> batch = (*validation)->Next();
    if (!batch.ok()) return As(ExitCode::kData, batch.status());
    if (*batch == nullptr) return absl::OkStatus();
    PT_TRY(fn(**batch));
  }
}

absl::Status TrialRunner::Prepare() {
  const Shape image = model_->image_shape();
  absl::StatusOr<data::Transform> transform = MakeTransform(spec_.data, image, true);
  if (!transform.ok()) return transform.status();
  transform_ = std::make_unique<data::Transform>(*transform);
  transform = MakeTransform(spec_.data, image, false);
  if (!transform.ok()) return transform.status();
  eval_transform_ = std::make_unique<data::Transform>(*transform);
  if (!options_.bound.has_value()) {
    division_ = {.loader_threads = std::max(1, target_.threads - 1), .queue_batches = 3};
    std::vector<data::Batch> all;
    PT_TRY(ForEachOfValidation([&](const data::Batch& batch) {
      all.push_back(batch);
      return absl::OkStatus();
    }));
    validation_ = std::move(all);
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

// Null where it has no room or does not pay.
absl::StatusOr<std::unique_ptr<PrefixCache>> TrialRunner::FillCache(Session& session) const {
  if (!options_.cache_prefix || !PrefixCache::Pays(session.prefix("train"))) return nullptr;
  const PrefixCache::Source source = {
      &session,         "train",           dataset_, data::Split::kTrain,
      transform_.get(), spec_.model.batch, pictures_};
  PrefixCacheOptions options = {.where = "auto", .file_bytes = 0};
  if (options_.bound.has_value()) {
    options.memory_bytes = division_.cache_bytes - PictureBytes();
    options.counts_upkeep = true;
  }
  std::unique_ptr<PrefixCache> cache =
      PrefixCache::Open(source, options, options_.plan_path, [](const std::string&) {});
  if (cache == nullptr) return nullptr;
  const absl::Status filled = cache->Fill({division_.loader_threads, division_.queue_batches},
                                          [this] { return Stopped(); });
  if (absl::IsCancelled(filled)) return filled;
  return filled.ok() ? std::move(cache) : nullptr;
}

// The cache for the steps from `step` on, for which the loader then stands ready again.
absl::StatusOr<std::unique_ptr<PrefixCache>> TrialRunner::CacheFrom(Session& session,
                                                                    int64_t step) {
  if (options_.bound.has_value()) loader_.reset();
  absl::StatusOr<std::unique_ptr<PrefixCache>> cache = FillCache(session);
  if (!cache.ok() || loader_ != nullptr) return cache;
  PT_TRY(MakeLoader());
  loader_->Seek(step / loader_->batches_per_epoch(), step % loader_->batches_per_epoch());
  return cache;
}

absl::StatusOr<bool> TrialRunner::Train(Session& session, int64_t steps, double* step_ms) {
  // Falls to zero, as in a whole run: else the last steps' noise hides small gains.
  const LrSchedule schedule = {.base = spec_.lr, .total_steps = steps};
  std::unique_ptr<PrefixCache> cache;
  std::vector<double> times;
  if (loader_ == nullptr) PT_TRY(MakeLoader());
  loader_->Seek(0, 0);
  for (int64_t step = 0; step < steps; ++step) {
    if (Stopped()) return absl::CancelledError("stopped by a signal");
    if (step == kTimedSteps && steps > kTimedSteps + loader_->batches_per_epoch()) {
      absl::StatusOr<std::unique_ptr<PrefixCache>> filled = CacheFrom(session, step);
      if (!filled.ok()) return filled.status();
      cache = *std::move(filled);
    }
    const absl::StatusOr<const data::Batch*> batch = loader_->Next();
    if (!batch.ok()) return As(ExitCode::kData, batch.status());
    PT_TRY(cache != nullptr ? cache->Bind(**batch) : BindImages(session, **batch));
    PT_TRY(BindLabels(session, **batch));
    float loss = 0;
    const double begin = NowSeconds();
    const Status status = session.TrainStep(schedule.At(step), &loss);
    if (step < kTimedSteps) {
      times.push_back((NowSeconds() - begin) * 1e3);
      *step_ms = Median(times);
    }
    if (status.code() == StatusCode::kDataLoss) return false;
    PT_TRY(As(ExitCode::kInternal, "search", status));
  }
  return true;
}

absl::StatusOr<TrialResult> TrialRunner::Evaluate(Session& session) {
  if (options_.bound.has_value()) loader_.reset();
  TrialResult result;
  const auto classes = static_cast<size_t>(spec_.model.classes);
  int64_t samples = 0, correct = 0;
  std::vector<float> logits(static_cast<size_t>(spec_.model.batch) * classes);
  const auto count = [&](const data::Batch& batch) -> absl::Status {
    PT_TRY(BindImages(session, batch));
    PT_TRY(As(ExitCode::kInternal, "search", session.Predict()));
    PT_TRY(As(ExitCode::kInternal, "search", session.Read("eval", "logits", logits)));
    for (size_t i = 0; i < batch.labels.size(); ++i) {
      if (batch.weights[i] == 0.0f) continue;
      const auto row = std::span(logits).subspan(i * classes, classes);
      const double p = Probabilities(row)[static_cast<size_t>(batch.labels[i])];
      result.val_loss -= std::log(std::max(p, 1e-300));
      correct += TopClasses(row, 1)[0] == batch.labels[i];
      ++samples;
    }
    return absl::OkStatus();
  };
  PT_TRY(ForEachOfValidation(count));
  if (samples == 0)
    return Fail(ExitCode::kData, "search: no picture of the validation split is good");
  result.val_loss /= static_cast<double>(samples);
  result.val_accuracy = static_cast<double>(correct) / static_cast<double>(samples);
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
