#include "apps/train/trainer.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/train/best_epoch.h"
#include "apps/train/exit_code.h"
#include "apps/train/good_state.h"
#include "engine/base/clock.h"

namespace pocketune {
Trainer::Trainer(Session* session, const data::Dataset* dataset, const RunSpec& spec,
                 RunFolder* folder, const TrainListener& listener, const TrainerOptions& options)
    : session_(session),
      dataset_(dataset),
      spec_(spec),
      folder_(folder),
      listener_(listener),
      options_(options) {}

absl::Status Trainer::Prepare() {
  const Shape image = ImageShape(*session_, "train");
  batch_ = image[0];
  absl::StatusOr<data::Transform> train = MakeTransform(spec_.data, image, /*train=*/true);
  if (!train.ok()) return train.status();
  train_transform_ = std::make_unique<data::Transform>(*train);
  absl::StatusOr<data::Transform> eval = MakeTransform(spec_.data, image, /*train=*/false);
  if (!eval.ok()) return eval.status();
  eval_transform_ = std::make_unique<data::Transform>(*eval);

  loader_options_.split = data::Split::kTrain;
  loader_options_.batch = batch_;
  loader_options_.seed = spec_.seed;
  // A short batch would change the batch statistics; a set smaller than a batch has no other.
  const int64_t samples = static_cast<int64_t>(dataset_->Indices(data::Split::kTrain).size());
  loader_options_.drop_last = samples >= batch_;
  loader_options_.threads = options_.loader_threads;
  loader_options_.queue_batches = options_.queue_batches;
  if (samples == 0) return Fail(ExitCode::kData, "no pictures to train on");
  per_epoch_ = std::max<int64_t>(1, samples / batch_);

  absl::StatusOr<LrSchedule::Kind> kind = ParseLrKind(spec_.lr_schedule);
  if (!kind.ok()) return As(ExitCode::kUsage, kind.status());
  schedule_.kind = *kind;
  schedule_.base = spec_.lr;
  schedule_.total_steps = spec_.steps > 0 ? spec_.steps : spec_.epochs * per_epoch_;
  schedule_.warmup_steps = spec_.warmup_steps;
  schedule_.step_every =
      spec_.lr_step_every > 0 ? spec_.lr_step_every * per_epoch_ : schedule_.total_steps;
  schedule_.gamma = spec_.lr_gamma;
  return absl::OkStatus();
}

absl::Status Trainer::MakeLoader(const TrainState& state) {
  CloseLoader();  // before its threads would stand beside those of the next
  loader_options_.known_bad.reset();
  if (train_cache_ != nullptr) {
    loader_options_.known_bad = train_cache_->bad();
  } else if (options_.cache_bytes.has_value()) {
    SharePictures();
  }
  absl::StatusOr<std::unique_ptr<data::BatchLoader>> loader =
      data::BatchLoader::Create(dataset_, *train_transform_, loader_options_);
  if (!loader.ok()) return As(ExitCode::kData, loader.status());
  loader_ = *std::move(loader);
  loader_->Seek(state.step / per_epoch_, state.step % per_epoch_);
  return absl::OkStatus();
}

// In place of a cache of each loader's own: pictures stay when a loader is closed for a while.
void Trainer::SharePictures() {
  if (loader_options_.pictures != nullptr) return;
  const auto samples = static_cast<int64_t>(dataset_->samples().size());
  const int64_t left = *options_.cache_bytes - cache_memory_ - samples * int64_t{sizeof(void*)};
  loader_options_.cache_bytes = std::clamp<int64_t>(left, 0, loader_options_.cache_bytes);
  if (left <= 0 || dataset_->in_memory()) return;
  loader_options_.pictures =
      std::make_shared<data::PictureCache>(dataset_->samples().size(), loader_options_.cache_bytes);
}

void Trainer::CloseLoader() {
  if (loader_ == nullptr) return;
  data::AddSkipped(loader_->skipped(), &skipped_);
  loader_.reset();
}

std::unique_ptr<PrefixCache> Trainer::OpenCache(const char* schedule, data::Split split,
                                                const data::Transform& transform) {
  const PrefixInfo prefix = session_->prefix(schedule);
  PrefixCacheOptions options = options_.prefix_cache;
  if (dataset_->Indices(split).empty() || prefix.row_bytes == 0) return nullptr;
  if (options.where == "auto" && !PrefixCache::Pays(prefix)) return nullptr;
  options.memory_bytes -= cache_figures_.bytes;  // what is left of both splits' budget
  if (options_.cache_bytes.has_value()) {
    options.counts_upkeep = true;
    options.memory_bytes = std::min(options.memory_bytes, *options_.cache_bytes - cache_memory_);
  }
  const std::string suffix = split == data::Split::kTrain ? "" : std::string(".") + NameOf(split);
  if (options.where != "auto") options.where += suffix;
  const PrefixCache::Source source = {session_, schedule, dataset_, split, &transform, batch_};
  std::unique_ptr<PrefixCache> cache =
      PrefixCache::Open(source, options, folder_->prefix_cache_path() + suffix,
                        [this](const std::string& text) { Note(text); });
  if (cache == nullptr) return nullptr;
  const absl::Status filled =
      cache->Fill(loader_size(), [this] { return Stopped() || OutOfTime(); });
  if (filled.ok()) {
    cache_memory_ += PrefixCache::UpkeepBytes(source) + (cache->in_file() ? 0 : cache->bytes());
    cache_figures_.bytes += cache->bytes();
    cache_figures_.in_file = cache_figures_.in_file || cache->in_file();
    cache_figures_.computed += cache->computed();
    return cache;
  }
  if (!absl::IsCancelled(filled)) {
    Note(absl::StrCat("prefix cache: off: ", filled.message()));
    cache->Remove();
  }
  return nullptr;
}

void Trainer::OpenCaches(const TrainState& state) {
  const std::string& where = options_.prefix_cache.where;
  if (where == "off") return;
  const int rows_of_picture = PrefixCache::RowsOfPicture(train_transform_->options());
  const int64_t left = schedule_.total_steps - state.step;
  const bool again = left > per_epoch_;  // into another epoch
  if (where != "auto" && (rows_of_picture == 0 || session_->prefix("train").row_bytes == 0)) {
    Note(rows_of_picture == 0 ? "prefix cache: not for training, whose pictures are cropped anew"
                              : "prefix cache: off, the first layers learn");
  }
  const double begin = NowSeconds();
  // To fill it takes an epoch's work for each way in which a picture may be augmented.
  if (rows_of_picture > 0 && left > rows_of_picture * per_epoch_) {
    train_cache_ = OpenCache("train", data::Split::kTrain, *train_transform_);
  }
  if (again) val_cache_ = OpenCache("eval", data::Split::kVal, *eval_transform_);
  if (train_cache_ == nullptr && val_cache_ == nullptr) return;
  cache_figures_.fill_seconds = NowSeconds() - begin;
  Note(absl::StrFormat(
      "prefix cache: %.1f MB in %s, %d of the frozen layers' rows computed in %.1f s",
      double(cache_figures_.bytes) / 1e6, cache_figures_.in_file ? "a file" : "memory",
      cache_figures_.computed, cache_figures_.fill_seconds));
}

// Of a run that is done; steps begin with pictures again.
void Trainer::CloseCaches() {
  for (std::unique_ptr<PrefixCache>* cache : {&train_cache_, &val_cache_}) {
    if (*cache != nullptr) (*cache)->RemoveOwnFile();
    cache->reset();
  }
  loader_options_.pictures.reset();
}

absl::Status Trainer::PrepareData(const TrainState& state) {
  if (!state.done) OpenCaches(state);
  return MakeLoader(state);
}

// The guard rolls back to a checkpoint: there must be one from the start. A second save of the same
// would count a generation that an uninterrupted run does not have.
absl::Status Trainer::Begin(TrainState* state) {
  PT_TRY(Prepare());
  start_seconds_ = NowSeconds();
  if (state->done && state->step < schedule_.total_steps && !OutOfPatience(*state)) {
    Note(absl::StrCat("the run was done after step ", state->step, " and goes on to step ",
                      schedule_.total_steps, "; the learning rate follows its schedule anew"));
    if (spec_.keep == "best") state->epochs_without_gain = 0;  // these are the best weights
    state->done = false;
    PT_TRY(Save(*state));
  }
  if (state->restored) {
    saved_step_ = state->step;
  } else {
    PT_TRY(Save(*state));
  }
  return PrepareData(*state);
}

absl::StatusOr<TrainEnd> Trainer::Run(TrainState* state) {
  PT_TRY(Begin(state));
  double epoch_begin = NowSeconds();
  while (!state->done) {
    if (state->step >= schedule_.total_steps) {
      PT_TRY(state->epoch_steps > 0 ? EndEpoch(state) : Finish(state));
      continue;
    }
    const bool signalled = Stopped();
    if (signalled || OutOfTime()) {
      PT_TRY(Checkpoint(state));
      return signalled ? TrainEnd::kSignal : TrainEnd::kTimeBudget;
    }
    const double begin = NowSeconds();
    PT_TRY(Step(state));
    if (state->step % per_epoch_ == 0 && state->epoch_steps > 0) {
      PT_TRY(EndEpoch(state));
      epoch_seconds_.push_back(NowSeconds() - epoch_begin);
      epoch_begin = NowSeconds();
    } else if (spec_.checkpoint_every > 0 && state->step % spec_.checkpoint_every == 0) {
      PT_TRY(Checkpoint(state));
    }
    slowest_seconds_ = std::max(slowest_seconds_, NowSeconds() - begin);
  }
  CloseLoader();
  CloseCaches();
  return state->step < schedule_.total_steps ? TrainEnd::kEarlyStopped : TrainEnd::kFinished;
}

bool Trainer::OutOfTime() const {
  if (options_.time_budget_seconds <= 0) return false;
  // Twice the slowest so far: the next step, its validation and the save must still fit.
  return NowSeconds() - start_seconds_ + 2 * slowest_seconds_ > options_.time_budget_seconds;
}

absl::Status Trainer::Step(TrainState* state) {
  if (loader_ == nullptr) PT_TRY(MakeLoader(*state));
  absl::StatusOr<const data::Batch*> next = loader_->Next();
  if (!next.ok()) return As(ExitCode::kData, next.status());
  const data::Batch& batch = **next;
  const double begin = NowSeconds();
  if (train_cache_ != nullptr) {
    if (const absl::Status bound = train_cache_->Bind(batch); !bound.ok()) {
      Note(absl::StrCat("prefix cache: off: ", bound.message()));
      train_cache_->Remove();
      train_cache_.reset();
      PT_TRY(MakeLoader(*state));
      return Step(state);
    }
  }
  PT_TRY(BindData(batch));
  float loss = 0;
  const double lr = schedule_.At(state->step) * state->lr_factor;
  const Status status = session_->TrainStep(lr, &loss);
  const double seconds = NowSeconds() - begin;
  if (status.code() == StatusCode::kDataLoss) {
    return RollBack(state, status.message(), state->step + 1);
  }
  if (!status.ok()) return As(ExitCode::kData, "train", status);
  step_ms_.push_back(seconds * 1e3);
  if (state->step == 0) state->loss_first = loss;
  state->loss_last = loss;
  state->epoch_loss_sum += loss;
  ++state->epoch_steps;
  ++state->step;
  if (listener_.on_step) {
    listener_.on_step(
        {state->step, schedule_.total_steps, (state->step - 1) / per_epoch_, loss, seconds});
  }
  return absl::OkStatus();
}

absl::Status Trainer::BindData(const data::Batch& batch) {
  const auto bind = [&](const char* name, const auto& data) {
    return As(ExitCode::kInternal, "train",
              session_->Bind(name, data.data(), int64_t(data.size() * sizeof(data[0]))));
  };
  if (train_cache_ == nullptr) PT_TRY(bind("image", batch.images));
  PT_TRY(bind("label", batch.labels));
  return bind("weight", batch.weights);
}

// Back to the last good state with half the learning rate. What is not finite has reached no
// weight, but weights updated earlier in the same step have moved.
absl::Status Trainer::RollBack(TrainState* state, const std::string& fault, int64_t step) {
  const TrainState failed = *state;
  const auto answers = [this]() -> absl::StatusOr<bool> {
    Evaluation eval;
    const absl::StatusOr<std::string> wrong = FaultOfAnswers(&eval);
    if (!wrong.ok()) return wrong.status();
    return wrong->empty();
  };
  MakeRoom();
  const absl::StatusOr<GoodState> found = RestoreGood(*folder_, *session_, answers, state);
  if (!found.ok()) return found.status();
  const bool give_up = failed.rollbacks >= failed.rollback_limit;
  state->rollbacks = failed.rollbacks + (give_up ? 0 : 1);
  state->lr_factor = give_up ? failed.lr_factor : failed.lr_factor / 2;
  state->rollback_limit = failed.rollback_limit + (give_up ? kRollbacks : 0);
  PT_TRY(Save(*state));  // so that a resumed run does not repeat the mistake
  if (*found != GoodState::kNewest) PT_TRY(Save(*state));  // in place of the bad generation too
  if (give_up) {
    return Fail(ExitCode::kNumerics,
                absl::StrCat("train: ", fault, " at step ", step, ", again after ", kRollbacks,
                             " halvings of the learning rate; the last good checkpoint is kept: "
                             "--resume goes on from it, best with a lower --lr (got ",
                             spec_.lr, ")"));
  }
  if (loader_ != nullptr) loader_->Seek(state->step / per_epoch_, state->step % per_epoch_);
  Note(absl::StrFormat("%s at step %d: rolled back to step %d, learning rate halved (x%g)", fault,
                       step, state->step, state->lr_factor));
  return absl::OkStatus();
}

// What is wrong with the session's answers on validation, or, where there is none, for a batch of
// the training pictures. Empty: nothing; `*eval` is then what was found on validation.
absl::StatusOr<std::string> Trainer::FaultOfAnswers(Evaluation* eval) {
  if (HasValidation()) {
    absl::StatusOr<Evaluation> found = Validate();
    if (!found.ok() && ExitCodeOf(found.status()) != ExitCode::kNumerics) return found.status();
    if (!found.ok() || !std::isfinite(found->loss)) return "the validation loss is not finite";
    *eval = *std::move(found);
    return "";
  }
  const absl::StatusOr<bool> good =
      AnswersABatch(*session_, *dataset_, *eval_transform_, data::Split::kTrain, batch_);
  if (!good.ok()) return good.status();
  return *good ? "" : "what the model answers is not finite";
}

void Trainer::JudgeEpoch(const Evaluation& eval, TrainState* state, EpochEvent* event) const {
  event->validated = true;
  event->val_loss = eval.loss;
  event->val_accuracy = eval.accuracy();
  event->best = IsBest(eval, *state);
  state->epochs_without_gain = event->best ? 0 : state->epochs_without_gain + 1;
  if (!event->best) return;
  state->best_accuracy = event->val_accuracy;
  state->best_loss = event->val_loss;
  state->best_epoch = event->epoch;
}

absl::Status Trainer::EndEpoch(TrainState* state) {
  MakeRoom();
  Evaluation eval;
  std::string fault = FaultOfParams(*session_);
  if (fault.empty()) {
    absl::StatusOr<std::string> found = FaultOfAnswers(&eval);
    if (!found.ok()) return found.status();
    fault = *std::move(found);
  }
  if (!fault.empty()) return RollBack(state, fault, state->step);
  EpochEvent event;
  event.epoch = (state->step - 1) / per_epoch_;
  event.step = state->step;
  event.train_loss = state->epoch_loss_sum / static_cast<double>(state->epoch_steps);
  event.lr = schedule_.At(state->step - 1) * state->lr_factor;
  state->epoch_loss_sum = 0;
  state->epoch_steps = 0;
  if (eval.samples > 0) {
    JudgeEpoch(eval, state, &event);
    if (event.best && spec_.keep == "best") PT_TRY(folder_->SaveBest(*session_));
  }
  const absl::Status logged = folder_->Log(event);
  if (!logged.ok()) Note(std::string(logged.message()) + "; the run goes on");
  if (listener_.on_epoch) listener_.on_epoch(event);
  if (OutOfPatience(*state)) {
    Note(absl::StrCat("no gain on validation for ", spec_.patience, " epochs: stopping early"));
    state->done = true;
  }
  if (state->step >= schedule_.total_steps) state->done = true;
  if (state->done) PT_TRY(KeepBest(state));
  return Save(*state);
}

// Of a state that no validation has looked at.
absl::Status Trainer::Checkpoint(TrainState* state) {
  if (saved_step_ == state->step) return absl::OkStatus();
  MakeRoom();
  std::string fault = FaultOfParams(*session_);
  if (fault.empty()) {
    const data::Split split = HasValidation() ? data::Split::kVal : data::Split::kTrain;
    const absl::StatusOr<bool> good =
        AnswersABatch(*session_, *dataset_, *eval_transform_, split, batch_);
    if (!good.ok()) return good.status();
    if (!*good) fault = "what the model answers is not finite";
  }
  if (!fault.empty()) return RollBack(state, fault, state->step);
  return Save(*state);
}

absl::Status Trainer::Finish(TrainState* state) {
  state->done = true;
  PT_TRY(KeepBest(state));
  return Save(*state);
}

absl::StatusOr<Evaluation> Trainer::Validate() {
  const auto evaluate = [this] {
    return Evaluate(*session_, *dataset_, *eval_transform_, data::Split::kVal, batch_,
                    loader_size(), val_cache_.get());
  };
  absl::StatusOr<Evaluation> eval = evaluate();
  if (!eval.ok() && val_cache_ != nullptr) {
    Note(absl::StrCat("prefix cache: off for validation: ", eval.status().message()));
    val_cache_->Remove();
    val_cache_.reset();
    eval = evaluate();
  }
  if (eval.ok()) data::AddSkipped(eval->skipped, &skipped_);
  return eval;
}

absl::Status Trainer::KeepBest(TrainState* state) {
  if (spec_.keep != "best" || state->best_epoch < 0) return absl::OkStatus();
  if (state->epochs_without_gain == 0) return absl::OkStatus();  // the last epoch is the best
  PT_TRY(folder_->RestoreBest(*session_));
  session_->set_step(static_cast<uint64_t>(state->step));
  Note(absl::StrFormat("kept the weights of epoch %d (validation accuracy %.1f %%)",
                       state->best_epoch + 1, 100 * state->best_accuracy));
  return absl::OkStatus();
}

absl::Status Trainer::Save(const TrainState& state) {
  PT_TRY(folder_->Save(*session_, ToJsonText(state, dataset_->class_names())));
  saved_step_ = state.step;
  return absl::OkStatus();
}

std::vector<data::SkippedSample> Trainer::Skipped() const {
  std::vector<data::SkippedSample> skipped = skipped_;
  if (loader_ != nullptr) data::AddSkipped(loader_->skipped(), &skipped);
  return skipped;
}

}  // namespace pocketune
