#include "apps/train/resume_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/train/exit_code.h"

namespace pocketune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

RunSpec FirstRun() {
  RunSpec spec;
  spec.model.name = "small-cnn";
  spec.model.batch = 28;
  spec.lr = 0.05;
  spec.epochs = 3;
  return spec;
}

// What --lr 0.5 and so on leave of the defaults.
RunSpec Asked() {
  RunSpec spec;
  spec.model.batch = 32;
  return spec;
}

TEST(ResumeFlagsTest, WhatIsNotGivenStaysWhateverTheDefaultsAre) {
  const absl::StatusOr<RunSpec> spec = SpecOnResume(FirstRun(), Json(), Asked(), {});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(ToJson(*spec), ToJson(FirstRun()));
  EXPECT_THAT(ChangedFlags(FirstRun(), *spec), ElementsAre());
}

TEST(ResumeFlagsTest, RateAndLengthAreObeyed) {
  RunSpec asked = Asked();
  asked.lr = 0.5;
  asked.epochs = 50;
  const absl::StatusOr<RunSpec> spec =
      SpecOnResume(FirstRun(), Json(), asked, {{"--lr", "0.5"}, {"--epochs", "50"}});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->lr, 0.5);
  EXPECT_EQ(spec->epochs, 50);
  EXPECT_EQ(spec->model.batch, 28);
  EXPECT_THAT(ChangedFlags(FirstRun(), *spec),
              ElementsAre("--epochs 50 (was 3)", "--lr 0.5 (was 0.05)"));
}

TEST(ResumeFlagsTest, EpochsTakeThePlaceOfTheRunsSteps) {
  RunSpec run = FirstRun(), asked = Asked();
  run.steps = 17;
  asked.epochs = 50;
  EXPECT_EQ(SpecOnResume(run, Json(), asked, {{"--epochs", "50"}})->steps, 0);
  asked.steps = 20;
  EXPECT_EQ(SpecOnResume(run, Json(), asked, {{"--epochs", "50"}, {"--steps", "20"}})->steps, 20);
}

TEST(ResumeFlagsTest, WhatTheRunBeganWithIsRefusedNamingBothValues) {
  RunSpec asked = Asked();
  asked.model.name = "resnet8";
  const absl::StatusOr<RunSpec> spec =
      SpecOnResume(FirstRun(), Json(), asked, {{"--model", "resnet8"}});
  EXPECT_EQ(ExitCodeOf(spec.status()), ExitCode::kUsage);
  EXPECT_THAT(std::string(spec.status().message()), HasSubstr("--model: "));
  EXPECT_THAT(std::string(spec.status().message()), HasSubstr("(got resnet8, want small-cnn)"));
}

TEST(ResumeFlagsTest, TheRunsOwnValueMayBeGivenAgain) {
  EXPECT_TRUE(SpecOnResume(FirstRun(), Json(), FirstRun(), {{"--model", "small-cnn"}}).ok());
}

TEST(ResumeFlagsTest, WhatWasAskedWhenTheRunBeganMayBeAskedAgain) {
  const std::vector<GivenFlag> given = {{"--batch", "32"}, {"--tuning", "t.json"}};
  EXPECT_FALSE(SpecOnResume(FirstRun(), Json(), Asked(), given).ok());
  EXPECT_TRUE(SpecOnResume(FirstRun(), ToJson(given), Asked(), given).ok());
  EXPECT_FALSE(SpecOnResume(FirstRun(), ToJson(given), Asked(), {{"--tuning", "u.json"}}).ok());
}

TEST(ResumeFlagsTest, BatchSchemeAndMemoryAreObeyedByAnotherPlan) {
  RunSpec asked = Asked();
  asked.model.batch = 14;
  asked.train.scheme = "head";
  asked.memory_bytes = 1 << 26;
  RunSpec run = FirstRun();
  run.warmup_steps = 5;
  const absl::StatusOr<RunSpec> spec = SpecOnResume(
      run, Json(), asked, {{"--batch", "14"}, {"--scheme", "head"}, {"--memory", "64MiB"}});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->model.batch, 14);
  EXPECT_EQ(spec->train.scheme, "head");
  EXPECT_EQ(spec->memory_bytes, 1 << 26);
  EXPECT_EQ(spec->warmup_steps, 10);  // as many pictures
  EXPECT_TRUE(NeedsOtherPlan(run, *spec));
  RunSpec longer = run;
  longer.epochs = 9;
  longer.lr = 1;
  EXPECT_FALSE(NeedsOtherPlan(run, longer));
}

TEST(ResumeFlagsTest, StepsThatNobodyChangesAreAsManyPicturesInAnotherBatch) {
  RunSpec run = FirstRun(), asked = Asked();
  run.steps = 17;
  asked.model.batch = 8;
  asked.steps = 20;
  EXPECT_EQ(SpecOnResume(run, Json(), asked, {{"--batch", "8"}})->steps, 60);  // 59.5
  EXPECT_EQ(SpecOnResume(run, Json(), asked, {{"--batch", "8"}, {"--steps", "20"}})->steps, 20);
}

TEST(ResumeFlagsTest, AFlagWithoutARuleIsRefused) {
  EXPECT_EQ(FindResumeRule("--frobnicate"), nullptr);
  EXPECT_FALSE(SpecOnResume(FirstRun(), Json(), Asked(), {{"--frobnicate", "1"}}).ok());
}

TEST(ResumeFlagsTest, EveryFieldOfTheSpecHasAFlag) {
  const Json spec = ToJson(RunSpec());
  for (const char* section : {"model", "train", "data"}) {
    for (const auto& [key, value] : spec[section].items()) {
      if (key == "folded_norm") continue;  // of deployed models, which do not learn
      const std::string field = std::string("/") + section + "/" + key;
      EXPECT_NE(FindResumeRuleOf(field), nullptr) << field;
    }
  }
}

TEST(ResumeFlagsTest, FlagsOfTheProcessAreNotRemembered) {
  EXPECT_EQ(ToJson(std::vector<GivenFlag>{{"--threads", "2"}, {"--lr", "0.5"}}),
            (Json{{"--lr", "0.5"}}));
}

TEST(AdaptStateTest, AnotherRateCountsInFull) {
  TrainState state;
  state.lr_factor = 0.125;
  state.rollbacks = 3;
  RunSpec now = FirstRun();
  AdaptState(FirstRun(), now, &state);
  EXPECT_EQ(state.lr_factor, 0.125);
  now.lr = 0.001;
  AdaptState(FirstRun(), now, &state);
  EXPECT_EQ(state.lr_factor, 1.0);
  EXPECT_EQ(state.rollback_limit, 6);
}

TEST(AdaptStateTest, AnotherLengthCountsPatienceAnewWhereTheRunWasDone) {
  RunSpec now = FirstRun();
  now.epochs = 9;
  for (const bool done : {false, true}) {
    TrainState state;
    state.epochs_without_gain = 2;
    state.done = done;
    AdaptState(FirstRun(), now, &state);
    EXPECT_EQ(state.epochs_without_gain, done ? 0 : 2);
  }
}

TEST(AdaptStateTest, TheBestEpochIsLookedForFromThereOnWhereItWasNotBefore) {
  RunSpec before = FirstRun();
  before.keep = "last";
  TrainState state;
  state.best_epoch = 1;
  state.best_accuracy = 0.9;
  AdaptState(before, FirstRun(), &state);
  EXPECT_EQ(state.best_epoch, -1);
  EXPECT_EQ(state.best_accuracy, -1);
}

}  // namespace
}  // namespace pocketune
