#include "apps/train/run_trainer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "apps/train/evaluator.h"
#include "apps/train/exit_code.h"
#include "tests/apps/train/train_test_util.h"

namespace pocketune::test {
namespace {

TEST(TrainerTest, LearnsAndTellsItsListener) {
  TinyRun run(SmallRun());
  int64_t steps = 0;
  std::vector<EpochEvent> epochs;
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    EXPECT_EQ(event.step, ++steps);
    EXPECT_EQ(event.epoch, (steps - 1) / kEpoch);
    EXPECT_EQ(event.total_steps, 3 * kEpoch);
  };
  listener.on_epoch = [&](const EpochEvent& event) { epochs.push_back(event); };
  const absl::StatusOr<TrainEnd> end = run.Train(listener);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, TrainEnd::kFinished);
  EXPECT_EQ(steps, 3 * kEpoch);
  ASSERT_EQ(epochs.size(), 3u);
  EXPECT_EQ(epochs[2].epoch, 2);
  EXPECT_TRUE(epochs[2].validated);
  EXPECT_LT(epochs[2].train_loss, 0.8 * epochs[0].train_loss);
  EXPECT_TRUE(run.state().done);
  EXPECT_LT(run.state().loss_last, run.state().loss_first);
  EXPECT_EQ(run.folder().ReadLog().size(), 3u);
}

TEST(TrainerTest, StepsGoBeforeEpochs) {
  RunSpec spec = SmallRun();
  spec.steps = 17;
  TinyRun run(spec);
  ASSERT_TRUE(run.Train().ok());
  EXPECT_EQ(run.state().step, 17);
  EXPECT_EQ(run.folder().ReadLog().size(), 2u);
}

TEST(TrainerTest, ARateBeyondHopeStopsAtTheLastGoodCheckpoint) {
  RunSpec spec = SmallRun();
  spec.lr = 1e30;
  TinyRun run(spec);
  const std::vector<float> before = run.Values();
  std::vector<std::string> notes;
  TrainListener listener;
  listener.on_note = [&](const std::string& note) { notes.push_back(note); };
  const absl::StatusOr<TrainEnd> end = run.Train(listener);
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(ExitCodeOf(end.status()), ExitCode::kNumerics) << end.status();
  EXPECT_EQ(end.status().message().find('\n'), absl::string_view::npos);
  ASSERT_EQ(notes.size(), 3u);
  EXPECT_NE(notes[2].find("(x0.125)"), std::string::npos) << notes[2];
  EXPECT_EQ(run.Values(), before);

  run.NewSession();
  ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
  EXPECT_EQ(run.Values(), before);
  EXPECT_EQ(run.state().rollbacks, 3);
  EXPECT_EQ(run.state().lr_factor, 0.125);
}

TEST(TrainerTest, RollsBackOnceAndGoesOnAtHalfTheRate) {
  TinyRun run(SmallRun());
  bool spoiled = false;
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    if (event.step != 15 || spoiled) return;
    spoiled = true;
    run.Spoil(std::numeric_limits<float>::infinity());
  };
  std::vector<std::string> notes;
  listener.on_note = [&](const std::string& note) { notes.push_back(note); };
  const absl::StatusOr<TrainEnd> end = run.Train(listener);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, TrainEnd::kFinished);
  ASSERT_FALSE(notes.empty());
  EXPECT_NE(notes[0].find("at step 16: rolled back to step 11, learning rate halved (x0.5)"),
            std::string::npos)
      << notes[0];
  EXPECT_EQ(run.state().lr_factor, 0.5);
  EXPECT_EQ(run.state().step, 3 * kEpoch);
  for (const float value : run.Values()) ASSERT_TRUE(std::isfinite(value));
}

TEST(TrainerTest, StopsEarlyWithoutGain) {
  RunSpec spec = SmallRun();
  spec.lr = 1e-12;  // nothing changes
  spec.patience = 2;
  spec.epochs = 9;
  spec.train.batch_norm = BatchNormMode::kFrozen;
  TinyRun run(spec);
  const absl::StatusOr<TrainEnd> end = run.Train();
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, TrainEnd::kEarlyStopped);
  EXPECT_EQ(run.state().step, 3 * kEpoch);
  EXPECT_EQ(run.state().best_epoch, 0);
  EXPECT_TRUE(run.state().done);
}

// Spoils the weights in the last epoch; returns those of the best epoch and of the end.
void TrainToABadEnd(TinyRun& run, std::vector<float>* best, std::vector<float>* last) {
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    if (event.step == 3 * kEpoch) run.Spoil(0);
  };
  listener.on_epoch = [&](const EpochEvent& event) {
    if (event.best) *best = run.Values();
    if (event.epoch == 2) {
      EXPECT_FALSE(event.best);
      *last = run.Values();
    }
  };
  ASSERT_TRUE(run.Train(listener).ok());
}

TEST(TrainerTest, EndsWithTheBestEpochsWeights) {
  TinyRun run(SmallRun());
  std::vector<float> best, last;
  TrainToABadEnd(run, &best, &last);
  EXPECT_EQ(run.Values(), best);
  EXPECT_NE(run.Values(), last);
  run.NewSession();
  ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
  EXPECT_EQ(run.Values(), best);
  EXPECT_EQ(run.session().step(), uint64_t{3 * kEpoch});
}

TEST(TrainerTest, EndsWithTheLastEpochsWeightsWhereAsked) {
  RunSpec spec = SmallRun();
  spec.keep = "last";
  TinyRun run(spec);
  std::vector<float> best, last;
  TrainToABadEnd(run, &best, &last);
  EXPECT_EQ(run.Values(), last);
}

TEST(TrainerTest, StopsAndSavesWithinItsTimeBudget) {
  TinyRun run(SmallRun());
  TrainerOptions options;
  options.time_budget_seconds = 1e-9;
  const absl::StatusOr<TrainEnd> end = run.Train({}, options);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, TrainEnd::kTimeBudget);
  EXPECT_FALSE(run.state().done);
  run.NewSession();
  EXPECT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
}

TEST(TrainerTest, AStopBehindACheckpointSavesNoSecondOne) {
  TinyRun run(SmallRun());
  ASSERT_TRUE(run.Train().ok());
  const std::string names[] = {"/checkpoint-a", "/checkpoint-b"};
  std::vector<uint8_t> files[2];
  for (int i = 0; i < 2; ++i) files[i] = ReadBytes(run.folder().path() + names[i]);

  run.NewFolder("stopped");
  TrainListener listener;
  std::atomic<int> signal{15};  // before the first step, then after each epoch
  listener.on_epoch = [&](const EpochEvent&) { signal = 15; };
  TrainerOptions options;
  options.stop_signal = &signal;
  while (run.Train(listener, options).value() == TrainEnd::kStopped) {
    run.NewSession();
    ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
    signal = 0;
  }
  for (int i = 0; i < 2; ++i) EXPECT_EQ(ReadBytes(run.folder().path() + names[i]), files[i]);
}

TEST(TrainerTest, ASignalledRunResumesToTheSameBits) {
  RunSpec spec = SmallRun();
  spec.data.flip = 0.5;
  spec.data.crop_padding = 2;
  spec.model.dropout = 0.3;
  TinyRun run(spec);
  ASSERT_TRUE(run.Train().ok());
  const std::vector<float> uninterrupted = run.Values();
  const std::string state = ToJsonText(run.state(), {});

  run.NewFolder("stopped");
  for (const int64_t stop : {0, 5, 11, 29}) {
    std::atomic<int> signal{stop == 0 ? 15 : 0};
    TrainerOptions options;
    options.stop_signal = &signal;
    options.loader_threads = 2;
    TrainListener listener;
    listener.on_step = [&](const StepEvent& event) {
      if (event.step == stop) signal = 15;
    };
    const absl::StatusOr<TrainEnd> end = run.Train(listener, options);
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_EQ(*end, TrainEnd::kStopped);
    run.NewSession();
    ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
    EXPECT_EQ(run.state().step, stop);
  }
  ASSERT_TRUE(run.Train().ok());
  EXPECT_EQ(run.Values(), uninterrupted);
  EXPECT_EQ(ToJsonText(run.state(), {}), state);
}

TEST(TrainerTest, AFinishedRunStaysAsItIs) {
  TinyRun run(SmallRun());
  ASSERT_TRUE(run.Train().ok());
  const std::vector<uint8_t> a = ReadBytes(run.folder().path() + "/checkpoint-a");
  const std::vector<uint8_t> b = ReadBytes(run.folder().path() + "/checkpoint-b");
  run.NewSession();
  ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
  EXPECT_EQ(run.Train().value(), TrainEnd::kFinished);
  EXPECT_EQ(ReadBytes(run.folder().path() + "/checkpoint-a"), a);
  EXPECT_EQ(ReadBytes(run.folder().path() + "/checkpoint-b"), b);
}

TEST(TrainerTest, BoundedMemoryChangesNoBitOfWhatIsLearned) {
  RunSpec spec = SmallRun();
  TinyRun free(spec);
  ASSERT_TRUE(free.Train().ok());
  for (const int64_t cache_bytes : {int64_t{0}, int64_t{10000}, int64_t{50} << 20}) {
    SCOPED_TRACE(cache_bytes);
    TinyRun bounded(spec);
    TrainerOptions options;
    options.queue_batches = 2;
    options.cache_bytes = cache_bytes;
    ASSERT_TRUE(bounded.Train({}, options).ok());
    EXPECT_EQ(bounded.Values(), free.Values());
  }
}

TEST(TrainerTest, BoundedPrefixCachesGiveTheSameBits) {
  RunSpec spec = SmallRun();
  spec.train.scheme = "head";
  TinyRun free(spec);
  ASSERT_TRUE(free.Train().ok());
  for (const int64_t cache_bytes : {int64_t{0}, int64_t{200000}, int64_t{50} << 20}) {
    SCOPED_TRACE(cache_bytes);
    TinyRun bounded(spec);
    TrainerOptions options;
    options.queue_batches = 2;
    options.cache_bytes = cache_bytes;
    options.prefix_cache.where = bounded.File("rows");
    ASSERT_TRUE(bounded.Train({}, options).ok());
    EXPECT_EQ(bounded.Values(), free.Values());
  }
}

// Where a run may save, and the flags that make it.
struct SavePlace {
  const char* name;
  int64_t step;  // behind which the weights are spoiled
  RunSpec spec;
  bool signal = false;  // comes behind that step
};

RunSpec Saving(int64_t every, double val_fraction) {
  RunSpec spec = SmallRun();
  spec.checkpoint_every = every;
  spec.data.val_fraction = val_fraction;
  return spec;
}

class NothingBadIsSavedTest : public ::testing::TestWithParam<std::tuple<SavePlace, float>> {
 protected:
  // Both checkpoints, each restored alone: finite, and so is what the model answers.
  static void ExpectGoodGenerations(TinyRun& run) {
    const auto transform = MakeTransform(run.spec().data, {4, 28, 28, 1}, false);
    for (const char* name : {"/checkpoint-a", "/checkpoint-b"}) {
      run.NewSession();
      ASSERT_TRUE(run.session().Restore((run.folder().path() + name).c_str(), nullptr).ok());
      EXPECT_EQ(run.session().FindNotFinite(), "") << name;
      const auto eval = Evaluate(run.session(), run.dataset(), *transform, data::Split::kTrain, 1);
      ASSERT_TRUE(eval.ok()) << eval.status();
      EXPECT_TRUE(std::isfinite(eval->loss)) << name;
    }
  }
};

TEST_P(NothingBadIsSavedTest, WhereAStepSpoilsTheWeights) {
  const auto& [place, value] = GetParam();
  TinyRun run(place.spec);
  std::atomic<int> signal{0};
  bool spoiled = false;
  TrainListener listener;
  listener.on_step = [&, &where = place, &bad = value](const StepEvent& event) {
    if (event.step != where.step || spoiled) return;
    spoiled = true;
    run.Spoil(bad);
    if (where.signal) signal = 15;
  };
  TrainerOptions options;
  options.stop_signal = &signal;
  const absl::StatusOr<TrainEnd> end = run.Train(listener, options);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, place.signal ? TrainEnd::kStopped : TrainEnd::kFinished);
  EXPECT_EQ(run.state().rollbacks, 1);
  EXPECT_EQ(run.state().lr_factor, 0.5);
  ExpectGoodGenerations(run);
}

INSTANTIATE_TEST_SUITE_P(
    Trainer, NothingBadIsSavedTest,
    ::testing::Combine(::testing::Values(SavePlace{"AtAnEpochsEnd", kEpoch, Saving(0, 0.1)},
                                         SavePlace{"AtTheEnd", 3 * kEpoch, Saving(0, 0.1)},
                                         SavePlace{"AtTheEndWithoutValidation", 39,
                                                   Saving(0, 0)},  // 13 steps an epoch
                                         SavePlace{"BetweenEpochs", 15, Saving(3, 0.1)},
                                         SavePlace{"BetweenEpochsWithoutValidation", 15,
                                                   Saving(3, 0)},
                                         SavePlace{"AtASignal", 15, Saving(0, 0.1), true}),
                       ::testing::Values(std::numeric_limits<float>::quiet_NaN(), 3e38F)),
    [](const auto& info) {
      return std::string(std::get<0>(info.param).name) +
             (std::isnan(std::get<1>(info.param)) ? "ToNan" : "ToTheHuge");
    });

TEST(TrainerTest, AStateOfAnOptimizerIsWatchedToo) {
  TinyRun run(SmallRun());
  bool spoiled = false;
  TrainListener listener;
  listener.on_step = [&](const StepEvent& event) {
    if (event.step != kEpoch || spoiled) return;
    spoiled = true;
    for (const ParamInfo& info : run.session().params()) {
      if (!info.state) continue;
      const std::vector<float> values(static_cast<size_t>(info.shape.elems()),
                                      std::numeric_limits<float>::infinity());
      ASSERT_TRUE(run.session().WriteParam(info.name, values).ok());
      return;
    }
  };
  ASSERT_TRUE(run.Train(listener).ok());
  ASSERT_TRUE(spoiled);
  EXPECT_EQ(run.state().rollbacks, 1);
}

TEST(TrainerTest, AfterTheGuardGaveUpARunGoesOnAtALowerRate) {
  RunSpec spec = SmallRun();
  spec.lr = 1e30;
  TinyRun run(spec);
  absl::StatusOr<TrainEnd> end = run.Train();
  for (int attempt = 0; !end.ok() && attempt < 40; ++attempt) {
    ASSERT_EQ(ExitCodeOf(end.status()), ExitCode::kNumerics) << end.status();
    const double factor = run.state().lr_factor;
    run.NewSession();
    ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
    EXPECT_EQ(run.state().lr_factor, factor);
    end = run.Train();
    EXPECT_LT(run.state().lr_factor, factor);
  }
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(*end, TrainEnd::kFinished);
}

TEST(TrainerTest, ADoneRunGoesOnWhereItHasMoreEpochs) {
  TinyRun run(SmallRun());
  ASSERT_TRUE(run.Train().ok());
  run.NewSession();
  ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
  run.spec().epochs = 5;
  std::vector<std::string> notes;
  TrainListener listener;
  listener.on_note = [&](const std::string& note) { notes.push_back(note); };
  EXPECT_EQ(run.Train(listener).value(), TrainEnd::kFinished);
  EXPECT_EQ(run.state().step, 5 * kEpoch);
  EXPECT_EQ(run.folder().ReadLog().size(), 5u);
  ASSERT_FALSE(notes.empty());
  EXPECT_NE(notes[0].find("done after step 33 and goes on to step 55"), std::string::npos)
      << notes[0];
}

TEST(TrainerTest, AnEarlyStopIsNoReasonToGoOn) {
  RunSpec spec = SmallRun();
  spec.lr = 1e-12;  // nothing changes
  spec.patience = 1;
  spec.train.batch_norm = BatchNormMode::kFrozen;
  TinyRun run(spec);
  ASSERT_EQ(run.Train().value(), TrainEnd::kEarlyStopped);
  run.NewSession();
  ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
  EXPECT_EQ(run.Train().value(), TrainEnd::kEarlyStopped);
  EXPECT_EQ(run.state().step, 2 * kEpoch);
}

}  // namespace
}  // namespace pocketune::test
