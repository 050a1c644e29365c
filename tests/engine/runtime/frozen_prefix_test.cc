#include "engine/runtime/frozen_prefix.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::TinySession;

constexpr int64_t kRowBytes = test::kTinyHidden * 4;

std::vector<uint8_t> Rows(Session& session, const char* schedule = "train") {
  std::vector<uint8_t> rows(test::kTinySamples * kRowBytes);
  EXPECT_TRUE(session.ComputePrefix(schedule, rows).ok());
  return rows;
}

std::vector<const uint8_t*> PointersTo(const std::vector<uint8_t>& rows) {
  std::vector<const uint8_t*> pointers;
  for (int i = 0; i < test::kTinySamples; ++i) pointers.push_back(rows.data() + i * kRowBytes);
  return pointers;
}

TEST(FrozenPrefixTest, EndsWhereSomethingLearns) {
  TinySession session;
  for (const char* schedule : {"train", "eval"}) {
    const PrefixInfo prefix = session->prefix(schedule);
    EXPECT_EQ(prefix.row_bytes, kRowBytes);
    EXPECT_EQ(prefix.macs, test::kTinyFeatures * test::kTinyHidden);
  }
  EXPECT_EQ(session->prefix("train").rest_macs, 2 * test::kTinyHidden * test::kTinyClasses);
  EXPECT_EQ(session->prefix("eval").rest_macs, test::kTinyHidden * test::kTinyClasses);
  EXPECT_EQ(session->prefix("none").row_bytes, 0);
}

// Of the tiny plan with a second input "more", which is added to "image" before all else.
test::PlanSpec PlanOfTwoInputs() {
  test::PlanSpec plan = test::TinyPlan();
  for (test::ScheduleSpec& s : plan.schedules) {
    const auto more = static_cast<int32_t>(s.tensors.size());
    for (int i = 0; i < 2; ++i) {
      s.tensors.push_back(s.tensors[test::kTinyImage]);
      s.tensors.back().offset = plan.arena_bytes + 256 * i;
    }
    s.inputs.push_back({"more", more});
    s.steps.insert(s.steps.begin(), {.op = "add",
                                     .operands = {test::kTinyImage, more},
                                     .results = {more + 1},
                                     .attrs = test::AttrBytes(NoAttrs{})});
    s.steps[1].operands[0] = more + 1;
  }
  plan.arena_bytes += 512;
  return plan;
}

TEST(FrozenPrefixTest, BeginsWithAllInputsOfTheSamplesOwnValues) {
  TinySession from_inputs(test::ReferenceOptions(), PlanOfTwoInputs());
  TinySession from_rows(test::ReferenceOptions(), PlanOfTwoInputs());
  ASSERT_TRUE(from_rows.status().ok()) << from_rows.status().message();
  const std::vector<float> more(test::kTinySamples * test::kTinyFeatures, 0.5f);
  const auto bytes = static_cast<int64_t>(more.size() * sizeof(float));
  std::vector<uint8_t> unread(test::kTinySamples * kRowBytes);
  EXPECT_EQ(from_rows->ComputePrefix("train", unread).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(from_inputs->Bind("more", more.data(), bytes).ok());
  ASSERT_TRUE(from_rows->Bind("more", more.data(), bytes).ok());
  EXPECT_EQ(from_rows->prefix("train").row_bytes, kRowBytes);
  const std::vector<uint8_t> rows = Rows(*from_rows);
  ASSERT_TRUE(from_rows->BindPrefix("train", PointersTo(rows)).ok());
  for (const PortInfo& input : from_rows->inputs("train")) {
    EXPECT_EQ(input.in_prefix, input.role == PortRole::kData) << input.name;
    if (!input.in_prefix) continue;
    ASSERT_TRUE(from_rows->Bind(input.name, nullptr, bytes).ok());
  }
  EXPECT_EQ(from_rows.Train(4), from_inputs.Train(4));
  EXPECT_EQ(from_rows.Params(), from_inputs.Params());
}

TEST(FrozenPrefixTest, RowsStandInForThoseInputsThatNobodyElseReads) {
  test::PlanSpec plan = PlanOfTwoInputs();
  for (test::ScheduleSpec& s : plan.schedules) {
    s.outputs.push_back({"as_it_was", s.inputs.back().tensor});
  }
  TinySession session(test::ReferenceOptions(), plan);
  ASSERT_TRUE(session.status().ok()) << session.status().message();
  const std::vector<float> more(test::kTinySamples * test::kTinyFeatures, 0.5f);
  const auto bytes = static_cast<int64_t>(more.size() * sizeof(float));
  ASSERT_TRUE(session->Bind("more", more.data(), bytes).ok());
  for (const PortInfo& input : session->inputs("eval")) {
    EXPECT_EQ(input.in_prefix, input.name == "image") << input.name;
  }
  std::vector<float> want(test::kTinySamples * test::kTinyClasses), got(want.size()), kept(more);
  ASSERT_TRUE(session->Predict().ok());
  ASSERT_TRUE(session->Read("eval", "logits", want).ok());
  const std::vector<uint8_t> rows = Rows(*session, "eval");
  ASSERT_TRUE(session->BindPrefix("eval", PointersTo(rows)).ok());
  ASSERT_TRUE(session->Bind("image", nullptr, bytes).ok());
  ASSERT_TRUE(session->Predict().ok());
  ASSERT_TRUE(session->Read("eval", "logits", got).ok());
  ASSERT_TRUE(session->Read("eval", "as_it_was", kept).ok());
  EXPECT_EQ(got, want);
  EXPECT_EQ(kept, more);
  ASSERT_TRUE(session->Bind("more", nullptr, bytes).ok());
  EXPECT_EQ(session->Predict().code(), StatusCode::kFailedPrecondition);
}

TEST(FrozenPrefixTest, IsEmptyWhereTheFirstLayerLearns) {
  test::PlanSpec plan = test::TinyPlan();
  plan.params[0].trainable = true;
  plan.params[0].ram_offset = plan.param_bytes + plan.optimizer_bytes;
  plan.optimizer_bytes += 1024;
  TinySession session(test::ReferenceOptions(), plan);
  ASSERT_TRUE(session.status().ok()) << session.status().message();
  EXPECT_EQ(session->prefix("train").row_bytes, 0);
  std::vector<uint8_t> rows(test::kTinySamples * kRowBytes);
  EXPECT_EQ(session->ComputePrefix("train", rows).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(session->BindPrefix("train", {}).code(), StatusCode::kFailedPrecondition);
}

TEST(FrozenPrefixTest, IsEmptyWhereTheRestLooksAtThePictureToo) {
  test::PlanSpec plan = test::TinyPlan();
  plan.schedules[1].outputs.push_back({"picture", test::kTinyImage});
  TinySession session(test::ReferenceOptions(), plan);
  ASSERT_TRUE(session.status().ok()) << session.status().message();
  EXPECT_EQ(session->prefix("eval").row_bytes, 0);
  EXPECT_EQ(session->prefix("train").row_bytes, kRowBytes);
}

TEST(FrozenPrefixTest, StepsFromRowsAreStepsFromPictures) {
  SessionOptions options = test::ReferenceOptions();
  options.poison = true;
  TinySession from_pictures(options), from_rows(options);
  const std::vector<uint8_t> rows = Rows(*from_rows);
  ASSERT_TRUE(from_rows->BindPrefix("train", PointersTo(rows)).ok());
  const int64_t bytes = int64_t(from_rows.batch().image.size()) * 4;
  ASSERT_TRUE(from_rows->Bind("image", nullptr, bytes).ok());
  EXPECT_EQ(from_rows.Train(4), from_pictures.Train(4));
  EXPECT_EQ(from_rows.Params(), from_pictures.Params());

  ASSERT_TRUE(from_rows->BindPrefix("train", {}).ok());
  float loss = 0;
  EXPECT_EQ(from_rows->TrainStep(0.1, &loss).code(), StatusCode::kFailedPrecondition);
}

TEST(FrozenPrefixTest, PredictionsFromRowsArePredictionsFromPictures) {
  TinySession session;
  ASSERT_TRUE(session->Predict().ok());
  std::vector<float> want(test::kTinySamples * test::kTinyClasses), got(want.size());
  ASSERT_TRUE(session->Read("eval", "logits", want).ok());
  const std::vector<uint8_t> rows = Rows(*session, "eval");
  EXPECT_EQ(session->Read("eval", "logits", got).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(session->BindPrefix("eval", PointersTo(rows)).ok());
  ASSERT_TRUE(session->Predict().ok());
  ASSERT_TRUE(session->Read("eval", "logits", got).ok());
  EXPECT_EQ(got, want);
}

TEST(FrozenPrefixTest, RowsMayComeInAnyOrder) {
  TinySession session;
  std::vector<float> want(test::kTinySamples * test::kTinyClasses), got(want.size());
  ASSERT_TRUE(session->Predict().ok());
  ASSERT_TRUE(session->Read("eval", "logits", want).ok());
  const std::vector<uint8_t> rows = Rows(*session, "eval");
  std::vector<const uint8_t*> pointers = PointersTo(rows);
  std::swap(pointers[0], pointers[3]);
  ASSERT_TRUE(session->BindPrefix("eval", pointers).ok());
  ASSERT_TRUE(session->Predict().ok());
  ASSERT_TRUE(session->Read("eval", "logits", got).ok());
  std::swap_ranges(want.begin(), want.begin() + test::kTinyClasses,
                   want.begin() + 3 * test::kTinyClasses);
  EXPECT_EQ(got, want);
}

TEST(FrozenPrefixTest, RefusesWrongSizesAndAMissingPicture) {
  TinySession session;
  std::vector<uint8_t> rows(test::kTinySamples * kRowBytes - 1);
  EXPECT_EQ(session->ComputePrefix("train", rows).code(), StatusCode::kInvalidArgument);
  const std::vector<const uint8_t*> few(test::kTinySamples - 1, rows.data());
  EXPECT_EQ(session->BindPrefix("train", few).code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(session->Bind("image", nullptr, int64_t(session.batch().image.size()) * 4).ok());
  rows.resize(test::kTinySamples * kRowBytes);
  EXPECT_EQ(session->ComputePrefix("train", rows).code(), StatusCode::kFailedPrecondition);
}

TEST(FrozenPrefixTest, IdentityTellsWeightsApartAndNotWhatLearns) {
  const auto identity = [](const test::PlanSpec& plan) {
    TinySession session(test::ReferenceOptions(), plan);
    EXPECT_TRUE(session.status().ok()) << session.status().message();
    return session->PrefixIdentity("train").value();
  };
  const uint64_t tiny = identity(test::TinyPlan());
  EXPECT_EQ(identity(test::TinyPlan()), tiny);
  test::PlanSpec plan = test::TinyPlan();
  plan.segment[size_t(plan.params[0].segment_offset) / 4 + 3] += 1;
  EXPECT_NE(identity(plan), tiny);
  plan = test::TinyPlan();
  plan.segment[size_t(plan.params[2].segment_offset) / 4 + 3] += 1;
  EXPECT_EQ(identity(plan), tiny);
}

}  // namespace
}  // namespace pocketune
