#include "apps/train/training_choice.h"

#include <gtest/gtest.h>

namespace pocketune {
namespace {

RunSpec Open() {
  RunSpec spec;
  spec.model.batch = 32;
  spec.epochs = 10;
  spec.lr = kChooseLr;
  spec.warmup_steps = kChooseWarmup;
  spec.train.clip_norm = kChooseClipNorm;
  return spec;
}

constexpr TrainingFacts kPretrained = {.pretrained = true, .train_pictures = 640};
constexpr TrainingFacts kRandom = {.pretrained = false, .train_pictures = 640};

TEST(TrainingChoiceTest, WeightsThatHaveLearnedAreTreatedWithCare) {
  RunSpec spec = Open();
  const std::string said = ChooseTraining(kPretrained, &spec);
  EXPECT_DOUBLE_EQ(spec.lr, 0.02);
  EXPECT_DOUBLE_EQ(spec.train.clip_norm, 1.0);
  EXPECT_EQ(spec.warmup_steps, 10);  // of 200
  EXPECT_EQ(said,
            "rate 0.02 (--lr), warm-up of 10 steps (--warmup-steps), gradients clipped to norm 1 "
            "(--clip-norm)");
}

TEST(TrainingChoiceTest, RandomWeightsLearnBoldly) {
  RunSpec spec = Open();
  const std::string said = ChooseTraining(kRandom, &spec);
  EXPECT_DOUBLE_EQ(spec.lr, 0.1);
  EXPECT_DOUBLE_EQ(spec.train.clip_norm, 3.0);
  EXPECT_NE(said.find("begin at random"), std::string::npos) << said;
}

TEST(TrainingChoiceTest, WhatWasGivenStays) {
  RunSpec spec = Open();
  spec.lr = 0.5;
  spec.warmup_steps = 0;
  spec.train.clip_norm = 7.0;
  EXPECT_EQ(ChooseTraining(kPretrained, &spec), "");
  EXPECT_DOUBLE_EQ(spec.lr, 0.5);
  EXPECT_EQ(spec.warmup_steps, 0);
  EXPECT_DOUBLE_EQ(spec.train.clip_norm, 7.0);
}

TEST(TrainingChoiceTest, ARateFitsTheOptimizer) {
  RunSpec spec = Open();
  spec.train.optimizer = "sgd";
  ChooseTraining(kPretrained, &spec);
  EXPECT_NEAR(spec.lr, 0.2, 1e-12);  // one step of what momentum 0.9 makes of ten
  spec = Open();
  spec.train.momentum = 0.99;
  ChooseTraining(kPretrained, &spec);
  EXPECT_NEAR(spec.lr, 0.002, 1e-12);
  spec = Open();
  spec.train.optimizer = "adamw";
  ChooseTraining(kPretrained, &spec);
  EXPECT_DOUBLE_EQ(spec.lr, 3e-4);
}

TEST(TrainingChoiceTest, WarmUpIsAPartOfTheStepsThatAreAskedFor) {
  RunSpec spec = Open();
  spec.steps = 1000;
  ChooseTraining(kPretrained, &spec);
  EXPECT_EQ(spec.warmup_steps, 50);
}

TEST(TrainingChoiceTest, FewPicturesAreSeenMoreOften) {
  const auto epochs_for = [](int64_t pictures) {
    RunSpec spec = Open();
    spec.epochs = kChooseEpochs;
    ChooseTraining({.pretrained = true, .train_pictures = pictures}, &spec);
    return spec.epochs;
  };
  EXPECT_EQ(epochs_for(60000), 10);
  EXPECT_EQ(epochs_for(1766), 15);  // of 55 steps
  EXPECT_EQ(epochs_for(600), 45);
  EXPECT_EQ(epochs_for(40), 60);
  RunSpec spec = Open();
  spec.epochs = kChooseEpochs;
  EXPECT_EQ(ChooseTraining({.train_pictures = 1766}, &spec).find("15 epochs (--epochs), rate"), 0u);
}

TEST(TrainingChoiceTest, AnotherSchemeChoosesAnewWhatNobodyGave) {
  RunSpec spec;
  spec.lr = 0.3;
  spec.train.clip_norm = 5.0;
  ChooseAnew([](const char* flag) { return std::string(flag) == "--lr"; }, &spec);
  EXPECT_DOUBLE_EQ(spec.lr, 0.3);
  EXPECT_DOUBLE_EQ(spec.train.clip_norm, kChooseClipNorm);
}

}  // namespace
}  // namespace pocketune
