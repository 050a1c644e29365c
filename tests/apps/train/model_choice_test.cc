#include "apps/train/model_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"

namespace pocketune {
namespace {

using ::testing::HasSubstr;

struct Chosen {
  RunSpec spec;
  std::string said;
};

Chosen Choose(const PictureFacts& facts, RunSpec spec = {}) {
  spec.train.scheme.clear();
  const std::vector<std::string> lines = ChooseModel(facts, &spec);
  return {spec, absl::StrJoin(lines, "\n")};
}

TEST(ModelChoiceTest, PhotosAreForAPretrainedModelAtTheirOwnSize) {
  const Chosen chosen = Choose({.train_pictures = 1766, .classes = 6, .side = 120});
  EXPECT_EQ(chosen.spec.model.name, "efficientnet_lite0");
  EXPECT_EQ(chosen.spec.model.resolution, 128);
  EXPECT_EQ(chosen.spec.train.scheme, "blocks:4");
  EXPECT_EQ(
      chosen.said,
      "model       efficientnet_lite0: 1766 pictures, a typical one 120 pixels at its shorter "
      "side, seen at 128 (--model, --resolution)\n"
      "scheme      blocks:4: 294 pictures a class (--scheme)");
}

TEST(ModelChoiceTest, ResolutionsStayWithinWhatTheModelLearnedAt) {
  EXPECT_EQ(Choose({.train_pictures = 100, .classes = 2, .side = 3000}).spec.model.resolution, 224);
  EXPECT_EQ(Choose({.train_pictures = 100, .classes = 2, .side = 28}).spec.model.resolution, 96);
  EXPECT_EQ(Choose({.train_pictures = 100, .classes = 2, .side = 0}).spec.model.resolution, 96);
}

TEST(ModelChoiceTest, OfVeryFewPicturesTheClassifierAloneLearns) {
  EXPECT_EQ(Choose({.train_pictures = 12, .classes = 3, .side = 200}).spec.train.scheme, "head");
}

TEST(ModelChoiceTest, ManyTinyPicturesTeachASmallNetworkFromNothing) {
  const Chosen chosen = Choose({.train_pictures = 54000, .classes = 10, .side = 28});
  EXPECT_EQ(chosen.spec.model.name, "small-cnn");
  EXPECT_EQ(chosen.spec.train.scheme, "full");
  EXPECT_THAT(chosen.said, HasSubstr("all weights begin at random"));
}

TEST(ModelChoiceTest, FromScratchTakesNoModelThatWantsWeights) {
  RunSpec spec;
  spec.from_scratch = true;
  EXPECT_EQ(Choose({.train_pictures = 1766, .classes = 6, .side = 120}, spec).spec.model.name,
            "small-cnn");
}

TEST(ModelChoiceTest, WhatWasGivenStays) {
  RunSpec spec;
  spec.model.name = "mlp";
  const Chosen chosen = Choose({}, spec);
  EXPECT_EQ(chosen.spec.model.name, "mlp");
  EXPECT_EQ(chosen.spec.train.scheme, "full");
  EXPECT_EQ(chosen.said, "");
  spec = {};
  spec.model.resolution = 160;
  EXPECT_EQ(Choose({.train_pictures = 500, .classes = 5, .side = 120}, spec).spec.model.resolution,
            160);
}

}  // namespace
}  // namespace pocketune
