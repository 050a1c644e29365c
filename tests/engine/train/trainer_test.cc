#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "pocketune/train.h"
#include "tests/engine/train/tiny_samples.h"

namespace pocketune::test {
namespace {

constexpr int64_t kCount = 23;  // samples: 4 batches an epoch
constexpr int64_t kPerEpoch = 4;

TrainingSpec Spec() { return {.lr = 0.05, .epochs = 5}; }

class TrainerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Trainer> Make(TinySession& session, TrainStore* store,
                                const TrainingSpec& spec = Spec(), TrainListener listener = {},
                                const TrainerOptions& options = {}) {
    Result<std::unique_ptr<Trainer>> made = Trainer::Create(
        &*session, &samples_, &validation_, store, spec, std::move(listener), options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return made.ok() ? std::move(made).value() : nullptr;
  }

  // What an uninterrupted training ends with.
  std::vector<float> Uninterrupted(const TrainingSpec& spec = Spec()) {
    TinySession session;
    MemoryStore store;
    EXPECT_EQ(Make(session, &store, spec)->Run().value(), TrainEnd::kFinished);
    return session.Params();
  }

  static void Spoil(TinySession& session) {
    const std::vector<float> values(kTinyClasses, INFINITY);
    ASSERT_TRUE(session->WriteParam("fc2.bias", values).ok());
  }

  // Finite weights that answer with great certainty, and wrongly for two classes of three.
  static void BlowUp(TinySession& session) {
    std::vector<float> values(kTinyClasses, 0.0f);
    values[0] = 1e4f;
    ASSERT_TRUE(session->WriteParam("fc2.bias", values).ok());
  }

  // Whose first step of the second epoch is followed by BlowUp, once; adds all notes to `*notes`.
  TrainListener BlowsUpOnce(std::string* notes) {
    TrainListener listener;
    listener.on_step = [this, blown_up = false](const StepEvent& event) mutable {
      if (event.step != kPerEpoch + 1 || blown_up) return;
      blown_up = true;
      BlowUp(session_);
    };
    listener.on_note = [notes](const std::string& note) { *notes += note; };
    return listener;
  }

  TinySamples samples_{kCount};
  TinySamples validation_{11, 4};
  TinySession session_;
  MemoryStore store_;
  TrainState state_;
};

TEST_F(TrainerTest, LearnsFromMemoryAndTellsItsListener) {
  int64_t steps = 0;
  std::vector<EpochEvent> epochs;
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    EXPECT_EQ(event.step, ++steps);
    EXPECT_EQ(event.epoch, (steps - 1) / kPerEpoch);
  };
  listener.on_epoch = [&](const EpochEvent& event) { epochs.push_back(event); };
  const auto trainer = Make(session_, &store_, Spec(), listener);
  EXPECT_EQ(trainer->batch(), kTinySamples);
  EXPECT_EQ(trainer->steps_per_epoch(), kPerEpoch);
  EXPECT_EQ(trainer->total_steps(), 5 * kPerEpoch);
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(steps, 5 * kPerEpoch);
  ASSERT_EQ(epochs.size(), 5u);
  EXPECT_TRUE(epochs[4].validated);
  EXPECT_LT(epochs[4].val_loss, 0.8 * epochs[0].val_loss);
  EXPECT_TRUE(trainer->state().done);
  EXPECT_EQ(trainer->step_ms().size(), static_cast<size_t>(steps));
}

TEST_F(TrainerTest, TrainsAndJudgesAPlanWithNamesOfItsOwnToTheSameBits) {
  std::vector<float> points;
  std::vector<int32_t> classes;
  for (int64_t i = 0; i < kCount; ++i) {
    points.insert(points.end(), samples_.image(i).begin(), samples_.image(i).end());
    classes.push_back(static_cast<int32_t>(i % kTinyClasses));
  }
  MemorySource samples(kCount);
  samples.Add("tokens", std::span<const float>(points));
  samples.Add("target", std::span<const int32_t>(classes));
  const TempFolder folder;
  WriteBytes(folder.File("plan"), BuildPlanFile(TinyPlanOfOtherNames()));
  auto session = Session::Open(folder.File("plan").c_str(), ReferenceOptions());
  ASSERT_TRUE(session.ok()) << session.status().message();
  const TrainingSpec spec = {.lr = 0.05, .epochs = 5, .keep_best = false};
  // Rows of the frozen layer stand in for "tokens".
  const TrainerOptions options = {.prefix_cache = {.where = folder.File("rows")}};
  auto trainer =
      Trainer::Create(session.value().get(), &samples, &samples, nullptr, spec, {}, options);
  ASSERT_TRUE(trainer.ok()) << trainer.status().message();
  EXPECT_EQ(trainer.value()->Run().value(), TrainEnd::kFinished);
  EXPECT_GT(trainer.value()->prefix_cache().bytes, 0);

  EXPECT_EQ(Make(session_, nullptr, spec)->Run().value(), TrainEnd::kFinished);
  const Result<Evaluation> got = Evaluate(*session.value(), samples);
  const Result<Evaluation> want = Evaluate(*session_, samples_);
  ASSERT_TRUE(got.ok() && want.ok());
  EXPECT_TRUE(got.value().classifies());
  EXPECT_EQ(got.value().confusion, want.value().confusion);
  EXPECT_EQ(got.value().loss, want.value().loss);
}

TEST_F(TrainerTest, StopsFromACallbackAndGoesOnToTheSameBits) {
  const std::vector<float> want = Uninterrupted();
  Trainer* running = nullptr;
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    if (event.step == 6) running->Stop();
  };
  const auto trainer = Make(session_, &store_, Spec(), listener);
  running = trainer.get();
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kStopped);
  EXPECT_EQ(trainer->state().step, 6);
  // The session is the caller's now: nothing of the training is bound.
  EXPECT_EQ(session_->Predict().code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(BindBatch(*session_, session_.batch()).ok());
  EXPECT_TRUE(session_->Predict().ok());
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(TrainerTest, AnotherProcessGoesOnToTheSameBits) {
  const std::vector<float> want = Uninterrupted();
  TempFolder folder;
  for (const int64_t stop : {3, 4, 13}) {
    TinySession session;
    FolderStore store(folder.path());
    Trainer* running = nullptr;
    TrainListener listener;
    listener.on_step = [&](const StepEvent& event) {
      if (event.step == stop) running->Stop();
    };
    const auto trainer = Make(session, &store, Spec(), listener);
    running = trainer.get();
    const Status restored = trainer->Restore();
    EXPECT_EQ(restored.code(), stop == 3 ? StatusCode::kNotFound : StatusCode::kOk);
    EXPECT_EQ(trainer->Run().value(), TrainEnd::kStopped);
    EXPECT_EQ(trainer->state().step, stop);
  }
  FolderStore store(folder.path());
  const auto trainer = Make(session_, &store);
  ASSERT_TRUE(trainer->Restore().ok());
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(TrainerTest, AStopBreaksAValidationOffWhichIsDoneLater) {
  const std::vector<float> want = Uninterrupted();
  Trainer* running = nullptr;
  std::vector<EpochEvent> epochs;
  TrainListener listener;
  listener.on_epoch = [&](const EpochEvent& event) { epochs.push_back(event); };
  listener.on_step = [&](const StepEvent& event) {
    if (event.step % kPerEpoch == 0) running->Stop();
  };
  const auto trainer = Make(session_, &store_, Spec(), listener);
  running = trainer.get();
  for (int64_t epoch = 1; epoch <= 5; ++epoch) {
    EXPECT_EQ(trainer->Run().value(), TrainEnd::kStopped);
    EXPECT_EQ(trainer->state().step, epoch * kPerEpoch);
    EXPECT_EQ(epochs.size(), static_cast<size_t>(epoch - 1));
    EXPECT_FALSE(trainer->state().done);
  }
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(epochs.size(), 5u);
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(TrainerTest, RestsWhileItIsPausedAndTheSessionPredicts) {
  const std::vector<float> want = Uninterrupted();
  Trainer* running = nullptr;
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    if (event.step == 5) running->Pause();
  };
  const auto trainer = Make(session_, &store_, Spec(), listener);
  running = trainer.get();
  std::atomic<bool> ended{false};
  std::thread thread([&] {
    EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
    ended = true;
  });
  while (!trainer->resting()) std::this_thread::yield();
  EXPECT_EQ(trainer->state().step, 5);
  EXPECT_FALSE(ended);
  EXPECT_TRUE(BindBatch(*session_, session_.batch()).ok());
  EXPECT_TRUE(session_->Predict().ok());
  trainer->Resume();
  thread.join();
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(TrainerTest, AStopFromAnotherThreadEndsAPauseToo) {
  const auto trainer = Make(session_, &store_);
  trainer->Pause();
  std::thread thread([&] { EXPECT_EQ(trainer->Run().value(), TrainEnd::kStopped); });
  while (!trainer->resting()) std::this_thread::yield();
  trainer->Stop();
  thread.join();
  EXPECT_EQ(trainer->state().step, 0);
}

TEST_F(TrainerTest, GoesStepByStepToTheSameBits) {
  const std::vector<float> want = Uninterrupted();
  const auto trainer = Make(session_, &store_);
  int64_t calls = 0;
  for (;; ++calls) {
    const Result<std::optional<TrainEnd>> end = trainer->Step();
    ASSERT_TRUE(end.ok()) << end.status().message();
    if (end.value().has_value()) break;
  }
  EXPECT_EQ(calls + 1, 5 * kPerEpoch);
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(TrainerTest, RollsBackOnceAndGoesOnAtHalfTheRate) {
  bool spoiled = false;
  std::string notes;
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    if (event.step != 6 || spoiled) return;
    spoiled = true;
    Spoil(session_);
  };
  listener.on_note = [&](const std::string& note) { notes += note; };
  const auto trainer = Make(session_, &store_, Spec(), listener);
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(trainer->state().lr_factor, 0.5);
  EXPECT_NE(notes.find("at step 7: rolled back to step 4"), std::string::npos) << notes;
  EXPECT_EQ(session_->FindNotFinite(), "");
}

TEST_F(TrainerTest, WithoutAStoreTheFirstNumberThatIsNotFiniteEndsIt) {
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    if (event.step == 6) Spoil(session_);
  };
  const auto trainer = Make(session_, nullptr, Spec(), listener);
  EXPECT_EQ(trainer->Run().status().code(), StatusCode::kAborted);
  EXPECT_EQ(trainer->fault().part, TrainFault::Part::kGuard);
  EXPECT_EQ(trainer->fault().step, 7);
  EXPECT_NE(trainer->fault().text.find("not finite"), std::string::npos);
}

TEST_F(TrainerTest, GivesUpAfterThreeHalvingsAtTheLastGoodState) {
  const std::vector<float> start = session_.Params();
  TrainListener listener;
  listener.on_step = [&](const StepEvent&) { Spoil(session_); };
  const auto trainer = Make(session_, &store_, Spec(), listener);
  EXPECT_EQ(trainer->Run().status().code(), StatusCode::kAborted);
  EXPECT_EQ(trainer->state().rollbacks, kRollbacks);
  EXPECT_EQ(trainer->state().lr_factor, 0.125);
  EXPECT_EQ(session_.Params(), start);
}

TEST_F(TrainerTest, ALossThatGrowsIsRolledBackAtHalfTheRate) {
  std::string notes;
  TrainingSpec spec = Spec();
  spec.lr = 1e-6;  // one rate that does not mend it
  const auto trainer = Make(session_, &store_, spec, BlowsUpOnce(&notes));
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(trainer->state().rollbacks, 1);
  EXPECT_EQ(trainer->state().lr_factor, 0.5);
  EXPECT_NE(notes.find("the training loss has grown to"), std::string::npos) << notes;
  EXPECT_NE(notes.find("at step 8: rolled back to step 4"), std::string::npos) << notes;
}

TEST_F(TrainerTest, AStateSavedWhileTheLossGrewIsNotRolledBackTo) {
  std::string notes;
  TrainingSpec spec = Spec();
  spec.lr = 1e-6;
  spec.checkpoint_every = 3;  // behind step 6 the state is finite, and bad
  TempFolder folder;
  FolderStore store(folder.path());
  const auto trainer = Make(session_, &store, spec, BlowsUpOnce(&notes));
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_NE(notes.find("at step 8: rolled back to step 4"), std::string::npos) << notes;
}

TEST_F(TrainerTest, ALossThatAlwaysGrowsEndsItAndSaysSo) {
  TrainListener listener;
  listener.on_step = [&](const StepEvent&) { BlowUp(session_); };
  const auto trainer = Make(session_, &store_, Spec(), listener);
  const Status status = trainer->Run().status();
  EXPECT_EQ(status.code(), StatusCode::kAborted);
  EXPECT_STREQ(status.message(), "train: the loss grows");
  EXPECT_EQ(trainer->fault().part, TrainFault::Part::kGuard);
  EXPECT_EQ(trainer->state().rollbacks, kRollbacks);
  EXPECT_NE(trainer->fault().text.find("grown"), std::string::npos) << trainer->fault().text;
}

TEST_F(TrainerTest, SaysWhoseFaultAnErrorIs) {
  samples_.broken = 17;
  auto trainer = Make(session_, &store_);
  EXPECT_EQ(trainer->Run().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(trainer->fault().part, TrainFault::Part::kSource);
  EXPECT_EQ(trainer->fault().source, &samples_);
  EXPECT_EQ(trainer->fault().sample, 17);
  samples_.broken = -1;
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);  // the disk is back

  samples_.labels()[3] = 9;
  TinySession other;
  trainer = Make(other, nullptr);
  EXPECT_EQ(trainer->Run().status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(trainer->fault().part, TrainFault::Part::kStep);

  FolderStore nowhere("/nowhere/at/all");
  samples_.labels()[3] = 0;
  trainer = Make(other, &nowhere);
  EXPECT_FALSE(trainer->Run().ok());
  EXPECT_EQ(trainer->fault().part, TrainFault::Part::kStore);
}

TEST_F(TrainerTest, TellsOfBadSamplesOfTrainingAndValidationOnce) {
  samples_.bad = {5};
  validation_.bad = {2};
  const auto trainer = Make(session_, &store_);
  ASSERT_TRUE(trainer->Run().ok());
  const std::vector<BadSample> bad = trainer->bad_samples();
  ASSERT_EQ(bad.size(), 2u);
  for (const BadSample& sample : bad) {
    EXPECT_EQ(sample.sample, sample.source == &samples_ ? 5 : 2);
  }
  EXPECT_NE(bad[0].source, bad[1].source);
}

TEST_F(TrainerTest, StopsEarlyAndKeepsTheBestEpoch) {
  TrainingSpec spec = Spec();
  spec.epochs = 50;
  spec.patience = 2;
  std::vector<float> best;
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    if (event.epoch < 2) return;
    const std::vector<float> bias(kTinyClasses, 30.0f * static_cast<float>(event.epoch));
    const std::vector<float> weight(kTinyClasses * kTinyHidden, 0.0f);
    ASSERT_TRUE(session_->WriteParam("fc2.bias", bias).ok());
    ASSERT_TRUE(session_->WriteParam("fc2.weight", weight).ok());
  };
  listener.on_epoch = [&](const EpochEvent& event) {
    if (event.best) best = session_.Params();
  };
  const auto trainer = Make(session_, &store_, spec, listener);
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kEarlyStopped);
  EXPECT_EQ(trainer->state().best_epoch, 1);
  EXPECT_EQ(session_.Params(), best);
}

TEST_F(TrainerTest, StopsWithinItsTimeBudgetAndGoesOn) {
  TrainerOptions options;
  options.time_budget_seconds = 1e-9;
  EXPECT_EQ(Make(session_, &store_, Spec(), {}, options)->Run().value(), TrainEnd::kTimeBudget);
  const auto trainer = Make(session_, &store_);
  ASSERT_TRUE(trainer->Restore().ok());
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(session_.Params(), Uninterrupted());
}

TEST_F(TrainerTest, RowsOfFrozenLayersChangeNoBit) {
  ASSERT_GT(session_->prefix("train").row_bytes, 0);
  const std::vector<float> want = Uninterrupted();
  TempFolder folder;
  std::string notes;
  TrainListener listener;
  listener.on_note = [&](const std::string& note) { notes += note + "\n"; };
  TrainerOptions options;
  options.prefix_cache.where = folder.File("rows");  // the source has no checksums: in memory
  const auto trainer = Make(session_, &store_, Spec(), listener, options);
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(session_.Params(), want);
  EXPECT_GT(trainer->prefix_cache().bytes, 0);
  EXPECT_NE(notes.find("23 train samples"), std::string::npos) << notes;
}

TEST_F(TrainerTest, LeavesNothingBoundToItsMemoryWhereverItEnds) {
  auto trainer = Make(session_, &store_);
  ASSERT_TRUE(trainer->Step().ok());
  EXPECT_TRUE(session_->Predict().ok());  // what the trainer has bound is there
  trainer.reset();
  EXPECT_EQ(session_->Predict().code(), StatusCode::kFailedPrecondition);
}

TEST_F(TrainerTest, LoadsAnewWhatItHasReleased) {
  const std::vector<float> want = Uninterrupted();
  TrainerOptions options;
  options.prefix_cache.where = "auto";
  const auto trainer = Make(session_, &store_, Spec(), {}, options);
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(trainer->Step().ok());
    if (i % 2 == 0) trainer->Release();
  }
  EXPECT_EQ(session_->Predict().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(trainer->Run().value(), TrainEnd::kFinished);
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(TrainerTest, BehindAReleaseTheSessionMayGoFirst) {
  auto session = std::make_unique<TinySession>();
  TrainerOptions options;
  options.prefix_cache.where = "auto";
  auto trainer = Make(*session, &store_, Spec(), {}, options);
  ASSERT_TRUE(trainer->Step().ok());
  trainer->Release();
  session.reset();
  trainer.reset();
  EXPECT_EQ(store_.Restore(TrainStore::Which::kNewest, *session_, &state_).code(), StatusCode::kOk);
  EXPECT_EQ(state_.step, 0);
}

TEST_F(TrainerTest, RefusesSpecsAndSourcesThatCannotBe) {
  const auto code = [&](SampleSource* samples, const TrainingSpec& spec) {
    return Trainer::Create(&*session_, samples, nullptr, nullptr, spec).status().code();
  };
  TinySamples none(0);
  EXPECT_EQ(code(&none, Spec()), StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(nullptr, Spec()), StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(&samples_, {.lr = 0}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(&samples_, {.lr = NAN}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(&samples_, {.epochs = -1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(
      Trainer::Create(&*session_, &samples_, nullptr, nullptr, Spec(), {}, {.queue_batches = 1})
          .status()
          .code(),
      StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pocketune::test
