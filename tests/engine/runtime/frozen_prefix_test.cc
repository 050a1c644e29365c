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
