// The training loop behind pocketune/train.h, in three sources: trainer.cc has the loop and a step,
// trainer_epoch.cc what comes behind steps (validation, guard, checkpoints), trainer_feed.cc what
// comes before them (loaders, rows of frozen layers).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/train/batch_loader.h"
#include "engine/train/evaluator.h"
#include "engine/train/row_cache.h"
#include "engine/train/stop_request.h"
#include "pocketune/train.h"

namespace pocketune {

class Trainer::Impl {
 public:
  Impl(Session* session, SampleSource* samples, SampleSource* validation, TrainStore* store,
       const TrainingSpec& spec, TrainListener listener, TrainerOptions options);
  ~Impl() { Release(/*done=*/false); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status Prepare();
  Result<TrainEnd> Run();
  Result<std::optional<TrainEnd>> RunStep();
  Status Restore();
  void SetState(const TrainState& to);
  void Release(bool done);
  std::vector<BadSample> Bad() const;

  TrainState state;
  StopRequest request;
  LrSchedule schedule;
  int64_t batch = 0;
  int64_t per_epoch = 0;  // batches
  RowCacheFigures cache_figures;
  TrainFault fault;
  std::vector<double> step_ms;
  std::vector<double> epoch_seconds;

 private:
  using Part = TrainFault::Part;

  Status Begin();
  bool MustStop() const;
  Result<TrainEnd> SaveAndStop();
  Result<std::optional<TrainEnd>> Advance();
  Status Step();
  Status StepOn(const Batch& batch, double begin);
  bool AtEpochEnd() const { return state.epoch_steps > 0 && state.step % per_epoch == 0; }
  bool OutOfTime() const;
  bool OutOfPatience() const {
    return spec_.patience > 0 && state.epochs_without_gain >= spec_.patience;
  }

  Status OpenFeed();
  LoaderSize loader_size() const { return {options_.loader_threads, options_.queue_batches}; }
  Status MakeLoader();
  void CloseLoader();
  // Where memory is bounded, for what comes next.
  void MakeRoom() {
    if (options_.cache_bytes.has_value()) CloseLoader();
  }
  void OpenCaches();
  std::unique_ptr<RowCache> OpenCache(const char* schedule, const char* name, SampleSource* samples,
                                      const char* suffix);
  void AddBad(const SampleSource* source, const std::vector<int64_t>& bad);

  Result<Evaluation> Validate(bool may_stop);
  Result<Evaluation> ValidateOnce(bool may_stop, EvaluationFault* fault);
  Status FaultOfAnswers(bool may_stop, Evaluation* eval, std::string* what);
  Result<bool> Answers(SampleSource* source);
  // How the training went wrong, for a person, and what the status says of it: a literal.
  struct Wrong {
    std::string text;
    const char* message = "train: numbers are not finite";
  };
  Status RollBack(const Wrong& wrong, int64_t step);
  Status GiveUp(const Wrong& wrong, int64_t step);
  std::string DivergenceOfEpoch(const Evaluation& eval) const;
  Status EndEpoch();
  EpochEvent CloseEpoch();
  void JudgeEpoch(const Evaluation& eval, EpochEvent* event);
  Status Checkpoint();
  Status Finish();
  Status Save();
  Status KeepBest();
  bool HasValidation() const { return validation_ != nullptr && validation_->size() > 0; }

  void Note(const std::string& text) const {
    if (listener_.on_note) listener_.on_note(text);
  }
  // `status`, remembered as an error of that part unless one is known already.
  Status Blame(Part part, const Status& status);
  Status BlameSource(const SampleSource* source, int64_t sample, const Status& status);
  Status BlameEvaluation(const SampleSource* source, const EvaluationFault& why,
                         const Status& status);

  Session* const session_;
  SampleSource* const samples_;
  SampleSource* const validation_;
  TrainStore* const store_;
  const TrainingSpec spec_;
  const TrainListener listener_;
  const TrainerOptions options_;
  std::vector<PortInfo> inputs_;  // of the schedule "train"
  std::unique_ptr<RowCache> train_cache_;
  std::unique_ptr<RowCache> val_cache_;
  std::unique_ptr<BatchLoader> loader_;
  std::vector<BadSample> bad_;     // in validation, or by loaders that are closed
  int64_t cache_memory_ = 0;       // of both row caches, where memory is bounded
  int64_t classes_ = 0;            // that the model tells apart; 0: none
  bool told_cache_bytes_ = false;  // to the source
  int64_t saved_step_ = -1;        // what the newest checkpoint holds; -1: there is none
  bool running_ = false;           // the feed is open
  bool stoppable_ = false;         // in Run, where a validation may be broken off
  bool broken_off_ = false;        // and was, at the end of the epoch
  double start_seconds_ = 0.0;
  double epoch_begin_ = 0.0;
  double slowest_seconds_ = 0.0;  // of a step or a validation with its save, for the time budget
};

// printf to a string, for notes.
__attribute__((format(printf, 1, 2))) std::string Format(const char* format, ...);

}  // namespace pocketune
