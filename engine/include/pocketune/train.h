// Trains a session on the samples of a source: batches, learning rate, validation, checkpoints, the
// guard against numbers that are not finite, early stopping, pause and stop.
//
//   MemorySource samples(100);
//   samples.Add("image", std::span<const float>(images));
//   samples.Add("label", std::span<const int32_t>(labels));
//   FolderStore store("/data/run1");
//   auto trainer = Trainer::Create(session, &samples, nullptr, &store, {.epochs = 5});
//   auto end = trainer.value()->Run();
//
// Link pocketune::train. Nothing here throws or prints; errors are statuses whose messages are
// literals.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pocketune/checkpoint.h"
#include "pocketune/evaluation.h"
#include "pocketune/lr_schedule.h"
#include "pocketune/sample_source.h"
#include "pocketune/session.h"
#include "pocketune/status.h"

namespace pocketune {

// Rollbacks, each with half the learning rate, before the numerical guard gives up.
inline constexpr int64_t kRollbacks = 3;

// What decides the result of a training, beside the plan, the session's seed and the samples.
struct TrainingSpec {
  double lr = 0.01;  // > 0
  LrSchedule::Kind lr_schedule = LrSchedule::Kind::kCosine;
  int64_t warmup_steps = 0;
  int64_t lr_step_every = 0;  // epochs, for kStep; 0: never
  double lr_gamma = 0.1;
  int64_t epochs = 10;
  int64_t steps = 0;             // > 0: so many in place of `epochs`
  uint64_t seed = 1;             // of the order of the samples and of what chance does to them
  int64_t patience = 0;          // epochs without gain on validation before it stops; 0: never
  bool keep_best = true;         // end with the weights of the epoch that is best on validation
  int64_t checkpoint_every = 0;  // steps; 0: at the end of each epoch alone
};

// What a training knows beside the session's tensors; saved with every checkpoint. No clock in it:
// the same training gives the same bytes, interrupted or not.
struct TrainState {
  int64_t step = 0;  // batches done; position in the data follows from it
  double lr_factor = 1.0;
  int64_t rollbacks = 0;
  double epoch_loss_sum = 0.0;
  int64_t epoch_steps = 0;
  double loss_first = 0.0;
  double loss_last = 0.0;
  double best_accuracy = -1.0;
  double best_loss = -1.0;  // on validation, of the best epoch; negative: not known
  int64_t best_epoch = -1;
  int64_t epochs_without_gain = 0;
  int64_t rollback_limit = kRollbacks;  // the guard gives up at the next one
  bool done = false;
  // Samples of the batches that `step` and `epoch_steps` count; 0: as many as the plan's. A trainer
  // of a plan with another batch goes on where the state stands in the samples of its epoch, at the
  // start of the batch that holds the place.
  int64_t batch = 0;
  bool restored = false;  // from a checkpoint; not itself saved

  // Calls v(name, field) for each that is saved, in the order of the bytes below: a new one goes to
  // the end.
  template <class Self, class V>
  static void Visit(Self& s, V&& v) {
    v("step", s.step);
    v("lr_factor", s.lr_factor);
    v("rollbacks", s.rollbacks);
    v("epoch_loss_sum", s.epoch_loss_sum);
    v("epoch_steps", s.epoch_steps);
    v("loss_first", s.loss_first);
    v("loss_last", s.loss_last);
    v("best_accuracy", s.best_accuracy);
    v("best_loss", s.best_loss);
    v("best_epoch", s.best_epoch);
    v("epochs_without_gain", s.epochs_without_gain);
    v("rollback_limit", s.rollback_limit);
    v("done", s.done);
    v("batch", s.batch);
  }
};

// The state as bytes for a checkpoint, and back: 136 bytes with a version and a checksum, the same
// on every machine. DATA_LOSS for bytes that Encode did not give or whose numbers cannot be,
// UNIMPLEMENTED for a newer version.
std::string EncodeTrainState(const TrainState& state);
Result<TrainState> DecodeTrainState(std::string_view bytes);

// Where a training keeps its states. One thread at a time. FolderStore and MemoryStore are ready
// made; an app with a place of its own derives from this.
class TrainStore {
 public:
  // The newest state, the one saved before it, the one of the best epoch so far.
  enum class Which : uint8_t { kNewest, kOlder, kBest };

  virtual ~TrainStore() = default;
  // Keeps the session's tensors and `state` as the newest. What could be restored before still can
  // where it fails.
  virtual Status Save(const Session& session, const TrainState& state) = 0;
  // Keeps the session's tensors as those of the best epoch.
  virtual Status SaveBest(const Session& session) = 0;
  // Brings the session, and for kNewest and kOlder `*state`, to what was saved. NOT_FOUND where
  // there is none, DATA_LOSS where it is damaged; nothing has changed then.
  virtual Status Restore(Which which, Session& session, TrainState* state) = 0;
};

// Files in a folder: two generations of checkpoints, of which one is whole at any instant, and
// "checkpoint-best". They survive the process and a power cut. Of a checkpoint that another program
// made for this plan, Restore takes the tensors and says DATA_LOSS of the state.
class FolderStore final : public TrainStore {
 public:
  // The folder must be there. One process at a time may train in it: hold its RunLock
  // (checkpoint.h) where another might.
  explicit FolderStore(std::string folder);
  Status Save(const Session& session, const TrainState& state) override;
  Status SaveBest(const Session& session) override;
  Status Restore(Which which, Session& session, TrainState* state) override;

 private:
  std::string folder_;
  CheckpointStore checkpoints_;
};

// The newest and the best state in memory: each takes as much as what learns and the optimizer's
// state do. Enough for the guard and for keeping the best epoch; gone with the process.
class MemoryStore final : public TrainStore {
 public:
  MemoryStore();
  ~MemoryStore() override;
  Status Save(const Session& session, const TrainState& state) override;
  Status SaveBest(const Session& session) override;
  // kOlder is never there.
  Status Restore(Which which, Session& session, TrainState* state) override;

 private:
  struct Snapshot;
  std::unique_ptr<Snapshot> newest_;
  std::unique_ptr<Snapshot> best_;
};

struct StepEvent {
  int64_t step = 0;  // 1-based
  int64_t total_steps = 0;
  int64_t epoch = 0;
  double loss = 0.0;
  double seconds = 0.0;  // of this step, without the wait for samples
};

struct EpochEvent {
  int64_t epoch = 0;  // 0-based
  int64_t step = 0;
  double train_loss = 0.0;
  double lr = 0.0;
  bool validated = false;
  double val_loss = 0.0;
  double val_accuracy = 0.0;
  bool best = false;
};

// Whom the training tells, on the thread that runs it. Empty functions are not called. They may
// call Stop, Pause and the const methods of the trainer, and read and write the session's
// parameters; they may not throw.
struct TrainListener {
  std::function<void(const StepEvent&)> on_step;
  std::function<void(const EpochEvent&)> on_epoch;
  // One line of English that a user may want to read: a rollback, an early stop.
  std::function<void(const std::string&)> on_note;
};

// What frozen layers make of each sample is the same in every epoch. The row cache computes it once
// and trains from it (docs/adr/0009-frozen-prefix-cache.md): the same bits in less time.
struct RowCacheOptions {
  // "off"; "auto": where it pays, in memory or else in the file `own_path`; or the path of a file,
  // which later trainings find again. Rows of validation lie in a second file, with ".val" behind.
  std::string where = "off";
  std::string own_path;  // empty: memory alone. The file goes with the end of the training
  int64_t memory_bytes = int64_t{512} << 20;
  bool counts_upkeep = false;  // memory_bytes bounds all that the cache takes, not its rows alone
  int64_t file_bytes = int64_t{4} << 30;  // of a file that nobody asked for by name
};

// How this process trains. Changes no bit of the result.
struct TrainerOptions {
  int loader_threads = 1;
  int queue_batches = 3;  // of a loader
  // Where memory is bounded: what the caches of rows and of samples may take together. Loaders are
  // then there one at a time, and none while a checkpoint is read.
  std::optional<int64_t> cache_bytes;
  // The training stops and saves in time for it, counted from Run, pauses included; 0: no bound.
  double time_budget_seconds = 0.0;
  // Not 0 asks for a stop, as Trainer::Stop does: may be set by a signal handler. May be null.
  const std::atomic<int>* stop_signal = nullptr;
  RowCacheOptions prefix_cache;
};

// How a training ended that did not fail.
enum class TrainEnd : uint8_t {
  kFinished,      // all steps are done
  kEarlyStopped,  // no gain for `patience` epochs
  kTimeBudget,    // saved; goes on with another Run
  kStopped,       // likewise, by Stop or the stop signal
};

// What ended a training that failed, beside the Status.
struct TrainFault {
  enum class Part : uint8_t {
    kNone,
    kSource,   // could not load `sample`, or too many were bad
    kStore,    // could not save or restore
    kStep,     // the training step refused the batch: a label that is none of the classes
    kSession,  // anything else that the session did not do
    kGuard,    // numbers were not finite or the loss grew, again after kRollbacks halvings of the
               // learning rate
    kOptions,  // the spec, the sources and the plan do not go together
  };
  Part part = Part::kNone;
  const SampleSource* source = nullptr;  // kSource
  int64_t sample = -1;                   // kSource; -1: too many are bad
  int64_t step = 0;                      // kGuard, kStep: 1-based
  std::string text;                      // kGuard: what was not finite, or how far the loss grew
};

// What the row cache held, of training and validation together.
struct RowCacheFigures {
  int64_t bytes = 0;  // 0: it was off
  bool in_file = false;
  int64_t computed = 0;  // rows
  double fill_seconds = 0.0;
};

// A sample that was left out because it is bad.
struct BadSample {
  const SampleSource* source = nullptr;
  int64_t sample = 0;
};

// One training. Borrows the session, the sources and the store, which outlive it; while Run or Step
// is under way the session is the trainer's. One thread at a time, but for Stop, Pause, Resume and
// resting, which any may call at any time.
//
// Inputs of the session are bound while it trains, and left unbound.
//
// Nothing is saved that holds or answers with numbers that are not finite: where they come up, the
// training goes back to the last state without, with half the learning rate. So it does where an
// epoch's loss has grown to more than three times what the training began with (or, for classes,
// what knowing nothing costs: ln of their number), at its end still, or to half more than that
// while validation is no better than chance. A training that was
// stopped, killed or cut off from power, and goes on with Restore, comes to the same bits as one
// that ran through.
class Trainer {
 public:
  // `validation` judges epochs and may be null or empty: the last weights are then kept and
  // patience has no effect. `store` may be null: nothing is saved, the best epoch is not kept, and
  // the first number that is not finite ends the training. The session stands where the training
  // begins. Takes no memory to speak of before Run. INVALID_ARGUMENT for a spec or options out of
  // range, FAILED_PRECONDITION where the plan does not train or there are no samples.
  static Result<std::unique_ptr<Trainer>> Create(Session* session, SampleSource* samples,
                                                 SampleSource* validation, TrainStore* store,
                                                 const TrainingSpec& spec,
                                                 TrainListener listener = {},
                                                 TrainerOptions options = {});
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // Brings session and state to the newest that the store holds. NOT_FOUND where it holds none, as
  // before the first Run: nothing has changed then. Other errors are the store's.
  Status Restore();
  // For a caller that has restored the session, or changed what a state says, itself.
  void set_state(const TrainState& state);
  const TrainState& state() const;

  // Runs to the end, or on from where it stopped. One that was done goes on if its spec has more
  // steps by now. Errors: fault() says more; ABORTED where the guard gave up: session and newest
  // checkpoint then hold the last good state, and another Run has as many halvings again.
  Result<TrainEnd> Run();
  // One step of Run and what is due behind it; nothing is saved out of turn. Waits while paused.
  // The end where that was the last one.
  Result<std::optional<TrainEnd>> Step();

  // Gives back the memory of what is loaded (samples, rows of frozen layers), which otherwise stays
  // for another Run after a stop, and until the trainer goes. Run and Step load it anew.
  void Release();

  // Makes Run save and end after the step in flight, within a validation too; Run or Step goes on
  // from there. A wish that comes while nothing runs holds for the next Run.
  void Stop();
  // The thread of Run rests behind the step in flight until Resume or Stop. While it rests the
  // session is the caller's: predict with it, read its parameters.
  void Pause();
  void Resume();
  // Does it rest now?
  bool resting() const;

  int64_t total_steps() const;
  int64_t batch() const;
  int64_t steps_per_epoch() const;
  // Milliseconds of each training step of this process, without the wait for samples.
  const std::vector<double>& step_ms() const;
  // Seconds of each whole epoch of this process, validation and checkpoint included.
  const std::vector<double>& epoch_seconds() const;
  const RowCacheFigures& prefix_cache() const;
  // Samples left out of training and validation so far, each once.
  std::vector<BadSample> bad_samples() const;
  const TrainFault& fault() const;

 private:
  class Impl;
  explicit Trainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pocketune
