#include "pocketune/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "engine/base/step_page.h"
#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::BindBatch;
using test::ReferenceOptions;
using test::TinySession;
using ::testing::Each;
using ::testing::ElementsAre;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> Logits(Session& session, const char* schedule) {
  std::vector<float> logits(test::kTinySamples * test::kTinyClasses);
  EXPECT_TRUE(session.Read(schedule, "logits", logits).ok());
  return logits;
}

// Cross entropy in double of the batch's samples with weight 1.
double LossOf(const std::vector<float>& logits, const test::TinyBatch& batch) {
  double total = 0, weights = 0;
  for (size_t n = 0; n < batch.label.size(); ++n) {
    const float* x = logits.data() + n * test::kTinyClasses;
    const double sum = std::exp(double(x[0])) + std::exp(double(x[1])) + std::exp(double(x[2]));
    total += double(batch.weight[n]) * (std::log(sum) - double(x[batch.label[n]]));
    weights += double(batch.weight[n]);
  }
  return total / weights;
}

TEST(SessionTest, LearnsTheBatch) {
  TinySession session;
  ASSERT_TRUE(session.status().ok()) << session.status().message();
  const std::vector<float> losses = session.Train(60);
  EXPECT_LT(losses.back(), 0.5f * losses.front());
  EXPECT_EQ(session->step(), 60u);
}

TEST(SessionTest, GivesTheLossOfTheLogits) {
  TinySession session;
  const std::vector<float> losses = session.Train(1);
  EXPECT_NEAR(losses[0], LossOf(Logits(*session, "train"), session.batch()), 1e-6);
}

TEST(SessionTest, TrainsBiasByTheGradientOfTheLoss) {
  TinySession session;
  std::vector<float> before(test::kTinyClasses), after(test::kTinyClasses);
  ASSERT_TRUE(session->ReadParam("fc2.bias", before).ok());
  session.Train(1, 0.25);
  const std::vector<float> logits = Logits(*session, "train");
  ASSERT_TRUE(session->ReadParam("fc2.bias", after).ok());
  for (size_t k = 0; k < test::kTinyClasses; ++k) {
    std::vector<float> up = logits, down = logits;
    for (size_t n = 0; n < test::kTinySamples; ++n) {
      up[n * test::kTinyClasses + k] += 1e-3f;
      down[n * test::kTinyClasses + k] -= 1e-3f;
    }
    const double slope = (LossOf(up, session.batch()) - LossOf(down, session.batch())) / 2e-3;
    EXPECT_NEAR(after[k], before[k] - 0.25 * slope, 1e-4);
  }
}

TEST(SessionTest, LeavesFrozenParametersAndBaseValuesAlone) {
  TinySession session;
  std::vector<float> base(test::kTinyClasses * test::kTinyHidden), now(base.size());
  ASSERT_TRUE(session->ReadParam("fc2.weight", base).ok());
  std::vector<float> frozen(test::kTinyHidden * test::kTinyFeatures), later(frozen.size());
  ASSERT_TRUE(session->ReadParam("fc1.weight", frozen).ok());
  session.Train(3);
  ASSERT_TRUE(session->ReadParam("fc1.weight", later).ok());
  EXPECT_EQ(frozen, later);
  ASSERT_TRUE(session->ReadParam("fc2.weight", now).ok());
  EXPECT_NE(base, now);
  ASSERT_TRUE(session->ReadBaseParam("fc2.weight", now).ok());
  EXPECT_EQ(base, now);
  ASSERT_TRUE(session->ReadBaseParam("fc2.weight.velocity", now).ok());
  EXPECT_THAT(now, Each(0.0f));
}

TEST(SessionTest, EvaluatesWithTheTrainedParameters) {
  TinySession session;
  session.Train(5);
  const std::vector<float> params = session.Params();
  float loss = 0;
  ASSERT_TRUE(session->EvalStep(&loss).ok());
  EXPECT_NEAR(loss, LossOf(Logits(*session, "eval"), session.batch()), 1e-6);
  EXPECT_EQ(session.Params(), params);
  EXPECT_EQ(session->step(), 5u);
  EXPECT_EQ(session.Train(1)[0], loss);
}

TEST(SessionTest, PredictsWithoutLabels) {
  TinySession session;
  float loss;
  ASSERT_TRUE(session->EvalStep(&loss).ok());
  const std::vector<float> logits = Logits(*session, "eval");
  ASSERT_TRUE(session->Bind("label", nullptr, 4 * test::kTinySamples).ok());
  ASSERT_TRUE(session->Bind("weight", nullptr, 4 * test::kTinySamples).ok());
  EXPECT_EQ(session->EvalStep(&loss).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(session->Predict().ok());
  EXPECT_EQ(Logits(*session, "eval"), logits);
  float unread;
  EXPECT_EQ(session->Read("eval", "loss", {&unread, 1}).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(session->Bind("image", nullptr, 0).ok());
  EXPECT_EQ(session->Predict().code(), StatusCode::kFailedPrecondition);
}

TEST(SessionTest, ReadsOutputsOfTheLastStepAlone) {
  TinySession session;
  std::vector<float> logits(15);
  EXPECT_EQ(session->Read("train", "logits", logits).code(), StatusCode::kFailedPrecondition);
  session.Train(1);
  EXPECT_TRUE(session->Read("train", "logits", logits).ok());
  EXPECT_EQ(session->Read("eval", "logits", logits).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(session->Read("train", "logit", logits).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session->Read("trial", "logits", logits).code(), StatusCode::kInvalidArgument);
  logits.resize(14);
  EXPECT_EQ(session->Read("train", "logits", logits).code(), StatusCode::kInvalidArgument);
}

TEST(SessionTest, RefusesWrongBindings) {
  TinySession session;
  EXPECT_EQ(session->Bind("picture", session.batch().image.data(), 140).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(session->Bind("image", session.batch().image.data(), 139).code(),
            StatusCode::kInvalidArgument);
}

TEST(SessionTest, LeavesWeightsAloneWhenALabelIsNoClass) {
  TinySession session;
  const std::vector<float> params = session.Params();
  for (const int32_t bad : {-1, test::kTinyClasses, INT32_MAX, INT32_MIN}) {
    session.batch().label[1] = bad;
    float loss;
    const Status status = session->TrainStep(0.1, &loss);
    EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
    EXPECT_EQ(session->EvalStep(&loss).code(), StatusCode::kOutOfRange);
  }
  EXPECT_EQ(session.Params(), params);
  EXPECT_EQ(session->step(), 0u);
}

TEST(SessionTest, LeavesWeightsAloneWhenTheLossIsNotFinite) {
  TinySession session;
  session.Train(2);
  const std::vector<float> params = session.Params();
  for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
    const float good = std::exchange(session.batch().image[3], bad);
    float loss;
    const Status status = session->TrainStep(0.1, &loss);
    EXPECT_EQ(status.code(), StatusCode::kDataLoss);
    EXPECT_NE(status.detail() & int32_t(kFaultLoss), 0);
    EXPECT_FALSE(std::isfinite(loss));
    session.batch().image[3] = good;
  }
  EXPECT_EQ(session.Params(), params);
  EXPECT_EQ(session->step(), 2u);
  EXPECT_TRUE(std::isfinite(session.Train(1)[0]));
}

TEST(SessionTest, RefusesALearningRateThatIsNotFinite) {
  TinySession session;
  float loss;
  EXPECT_EQ(session->TrainStep(kNan, &loss).code(), StatusCode::kInvalidArgument);
}

TEST(SessionTest, GivesTheSameBitsWithAPoisonedArena) {
  SessionOptions options = test::ReferenceOptions();
  options.poison = true;
  TinySession poisoned(options), plain;
  EXPECT_EQ(poisoned.Train(5), plain.Train(5));
  EXPECT_EQ(poisoned.Params(), plain.Params());
}

TEST(SessionTest, NeedsThePlanFileOnlyToOpen) {
  TinySession session, kept;
  std::filesystem::remove(session.folder().File("plan"));
  EXPECT_EQ(session.Train(3), kept.Train(3));
  EXPECT_EQ(session.Params(), kept.Params());
}

TEST(SessionTest, TrainsAPlanInMemoryToTheSameBits) {
  TinySession from_file;
  const std::vector<uint8_t> plan = test::BuildPlanFile(test::TinyPlan());
  Result<std::unique_ptr<Session>> opened = Session::Open(std::span(plan), ReferenceOptions());
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  Session& session = *opened.value();
  ASSERT_TRUE(BindBatch(session, from_file.batch()).ok());
  for (const float expected : from_file.Train(3)) {
    float loss = 0;
    ASSERT_TRUE(session.TrainStep(0.1, &loss).ok());
    EXPECT_EQ(loss, expected);
  }
  // Its checkpoints are those of the same plan in a file.
  const std::string path = from_file.folder().File("checkpoint");
  ASSERT_TRUE(session.Save(path.c_str(), "").ok());
  EXPECT_TRUE(from_file->Restore(path.c_str(), nullptr).ok());
  std::vector<float> base(test::kTinyClasses * test::kTinyHidden), same(base.size());
  ASSERT_TRUE(session.ReadBaseParam("fc2.weight", base).ok());
  ASSERT_TRUE(from_file->ReadBaseParam("fc2.weight", same).ok());
  EXPECT_EQ(base, same);
}

TEST(SessionTest, RefusesADamagedPlanInMemory) {
  std::vector<uint8_t> plan = test::BuildPlanFile(test::TinyPlan());
  plan[plan.size() / 2] ^= 1;
  EXPECT_EQ(Session::Open(std::span(plan), ReferenceOptions()).status().code(),
            StatusCode::kDataLoss);
}

TEST(SessionTest, WritesOnlyParametersThatLearn) {
  TinySession session;
  const std::vector<float> values = {1, 2, 3};
  EXPECT_TRUE(session->WriteParam("fc2.bias", values).ok());
  std::vector<float> read(3);
  ASSERT_TRUE(session->ReadParam("fc2.bias", read).ok());
  EXPECT_EQ(read, values);
  const std::vector<float> hidden(test::kTinyHidden);
  EXPECT_EQ(session->WriteParam("fc1.bias", hidden).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(session->WriteParam("fc2.bias", hidden).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session->WriteParam("fc3.bias", values).code(), StatusCode::kInvalidArgument);
}

TEST(SessionTest, DescribesItself) {
  TinySession session;
  std::vector<std::string> inputs, outputs, params;
  for (const PortInfo& port : session->inputs("train")) inputs.emplace_back(port.name);
  for (const PortInfo& port : session->outputs("eval")) outputs.emplace_back(port.name);
  for (const ParamInfo& param : session->params()) params.emplace_back(param.name);
  EXPECT_THAT(inputs, ElementsAre("image", "label", "weight"));
  EXPECT_THAT(outputs, ElementsAre("loss", "logits"));
  EXPECT_THAT(params, ElementsAre("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
                                  "fc2.weight.velocity"));
  EXPECT_EQ(session->inputs("train")[1].dtype, DType::kI32);
  EXPECT_TRUE(session->inputs("none").empty());
  EXPECT_EQ(session->metadata(), R"({"classes":["ant","bee","cat"]})");
  EXPECT_EQ(session->memory().param_bytes, 192 + 64);
  EXPECT_EQ(session->memory().optimizer_bytes, 192);
  EXPECT_EQ(session->memory().slots, 4);
}

TEST(SessionTest, APlanIsSummarizedWithoutASession) {
  TinySession session;
  const std::string path = session.folder().File("plan");
  const Result<PlanSummary> plan = Session::Summarize(path.c_str());
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_EQ(plan.value().metadata, session->metadata());
  EXPECT_EQ(plan.value().data_shape, session->inputs("train")[0].shape);
  EXPECT_EQ(plan.value().memory.optimizer_bytes, 192);
  EXPECT_EQ(plan.value().memory.predicted_peak_bytes, session->memory().predicted_peak_bytes);
  EXPECT_EQ(Session::Summarize((path + ".none").c_str()).status().code(), StatusCode::kNotFound);
}

TEST(SessionTest, TimesTheStepsOfTheTrainingSchedule) {
  TinySession session;
  session->set_profiling(true);
  session.Train(1);
  const std::vector<Session::StepTime> profile = session->profile();
  ASSERT_EQ(profile.size(), 10u);
  EXPECT_EQ(profile[7].kernel, "reference.momentum");
  EXPECT_EQ(profile[7].loc, "here");
  EXPECT_GT(profile[7].nanoseconds, 0);
  EXPECT_EQ(profile[0].begin_ns, 0);
  for (size_t i = 1; i < profile.size(); ++i) {
    EXPECT_GE(profile[i].begin_ns, profile[i - 1].begin_ns + profile[i - 1].nanoseconds);
  }
}

TEST(SessionTest, SaysWhatAPlanLacks) {
  test::PlanSpec spec = test::TinyPlan();
  spec.schedules[1].name = "trial";
  spec.schedules[0].outputs[0].name = "cost";
  TinySession session(test::ReferenceOptions(), spec);
  ASSERT_TRUE(session.status().ok());
  float loss;
  EXPECT_EQ(session->TrainStep(0.1, &loss).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(session->EvalStep(&loss).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(session->Predict().code(), StatusCode::kFailedPrecondition);
}

TEST(SessionTest, RefusesThreadsOutOfRange) {
  EXPECT_EQ(TinySession(test::ReferenceOptions(0)).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(TinySession(test::ReferenceOptions(1025)).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(SessionTest, SaysHowManyThreadsItHas) {
  for (const int threads : {1, 3, 66}) {
    TinySession session(test::ReferenceOptions(threads));
    EXPECT_EQ(session->threads(), threads);
    session.Train(1);
  }
}

TEST(SessionTest, SaysThatMemoryIsShort) {
  test::PlanSpec spec = test::TinyPlan();
  spec.arena_bytes = int64_t{1} << 47;
  EXPECT_EQ(TinySession(test::ReferenceOptions(), spec).status().code(),
            StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace pocketune
