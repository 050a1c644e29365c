// Training under a memory budget, on models of the zoo: the same bits where the plan only computes
// things again, and the same step up to rounding where the batch runs in slices.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/zoo_session.h"

namespace pocketune::test {
namespace {

struct Case {
  ModelSpec model;
  TrainSpec train;
};

Outcome<Plan> CompileCase(const Case& c, int64_t memory_bytes) {
  const Outcome<ZooModel> model = BuildZooModel(c.model, "", 1, nullptr);
  EXPECT_TRUE(model.ok()) << model.message();
  return Compile(model->model, c.train, {.memory_bytes = memory_bytes});
}

std::vector<float> TrainedWith(const Plan& plan, int steps) {
  ZooSession session(plan.bytes, {});
  return session.Train(steps);
}

// The number that ends a refusal, and is its detail.
int64_t SmallestOf(const Case& c) {
  const Outcome<Plan> none = CompileCase(c, 1);
  EXPECT_EQ(none.code(), StatusCode::kOutOfRange) << none.message();
  EXPECT_EQ(none.detail(), std::stoll(none.message().substr(none.message().rfind(' ') + 1)));
  return none.detail();
}

TEST(BudgetTest, PlansThatComputeAgainTrainToTheSameBits) {
  for (const ModelSpec& model :
       {ModelSpec{
            .name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 10, .batch = 4},
        ModelSpec{.name = "resnet8", .batch = 4}}) {
    SCOPED_TRACE(model.name);
    const Case c{model, {.scheme = "full"}};
    const Outcome<Plan> free = CompileCase(c, 0);
    ASSERT_TRUE(free.ok()) << free.message();
    const std::vector<float> want = TrainedWith(free.value(), 2);
    const int64_t smallest = SmallestOf(c);
    const int64_t peak = free->figures.predicted_peak_bytes;
    for (const int64_t budget : {smallest, (smallest + peak) / 2}) {
      SCOPED_TRACE(budget);
      const Outcome<Plan> plan = CompileCase(c, budget);
      ASSERT_TRUE(plan.ok()) << plan.message();
      EXPECT_GT(plan->figures.memory.second_runs, 0);
      EXPECT_LE(plan->figures.predicted_peak_bytes, budget);
      EXPECT_TRUE(TrainedWith(plan.value(), 2) == want) << budget;
    }
  }
}

TEST(BudgetTest, MicroBatchesAreTheSameStepWhereBatchNormIsFrozen) {
  Case c{{.name = "resnet8", .batch = 8}, {}};
  c.train.batch_norm = BatchNormMode::kFrozen;
  for (const char* scheme : {"full", "blocks:1"}) {
    SCOPED_TRACE(scheme);
    c.train.scheme = scheme;
    c.train.micro_batch = 0;
    const std::vector<float> want = TrainedWith(CompileCase(c, 0).value(), 2);
    for (const int samples : {4, 2, 1}) {
      c.train.micro_batch = samples;
      const Outcome<Plan> plan = CompileCase(c, 0);
      ASSERT_TRUE(plan.ok()) << plan.message();
      EXPECT_EQ(plan->figures.micro_batch, samples);
      EXPECT_LT(Distance(TrainedWith(plan.value(), 2), want), 1e-5) << samples;
    }
  }
}

TEST(BudgetTest, MicroBatchesNeedLessMemory) {
  Case c{{.name = "resnet8", .batch = 16}, {}};
  c.train.batch_norm = BatchNormMode::kFrozen;
  const int64_t whole = CompileCase(c, 0)->figures.arena_bytes;
  c.train.micro_batch = 2;
  EXPECT_LT(CompileCase(c, 0)->figures.arena_bytes, whole / 2);
}

TEST(BudgetTest, MicroBatchesMustDivideTheBatch) {
  Case c{{.name = "resnet8", .batch = 8}, {}};
  c.train.micro_batch = 3;
  EXPECT_EQ(CompileCase(c, 0).code(), StatusCode::kInvalidArgument);
}

TEST(BudgetTest, FrozenLayersInSlicesComputeTheSame) {
  Case c{{.name = "resnet8", .batch = 8}, {.scheme = "head"}};
  const Outcome<Plan> free = CompileCase(c, 0);
  const std::vector<float> want = TrainedWith(free.value(), 2);
  const int64_t budget = SmallestOf(c);
  const Outcome<Plan> plan = CompileCase(c, budget);
  ASSERT_TRUE(plan.ok()) << plan.message();
  EXPECT_GT(plan->figures.prefix_micro_batch + plan->figures.micro_batch, 0);
  EXPECT_LE(plan->figures.predicted_peak_bytes, budget);
  EXPECT_LT(plan->figures.arena_bytes, free->figures.arena_bytes / 2);
  EXPECT_LT(Distance(TrainedWith(plan.value(), 2), want), 1e-6);
}

TEST(BudgetTest, BatchStatisticsAreNeverSplitUnlessAskedFor) {
  Case c{{.name = "resnet8", .batch = 8}, {.scheme = "full"}};
  EXPECT_EQ(CompileCase(c, SmallestOf(c))->figures.micro_batch, 0);
  c.train.micro_batch = 2;
  const Outcome<Plan> asked = CompileCase(c, 0);
  ASSERT_TRUE(asked.ok()) << asked.message();
  EXPECT_EQ(asked->figures.micro_batch, 2);
  EXPECT_TRUE(asked->figures.batch_statistics);
  for (const float value : TrainedWith(asked.value(), 2)) EXPECT_TRUE(std::isfinite(value));
}

TEST(BudgetTest, ClippingAboveTheNormKeepsTheBitsAndBelowItShortensTheStep) {
  Case c{{.name = "resnet8", .batch = 4}, {.scheme = "full", .optimizer = "sgd"}};
  const Outcome<Plan> free = CompileCase(c, 0);
  ASSERT_TRUE(free.ok()) << free.message();
  EXPECT_EQ(free->figures.clip_norm_bytes, 0);
  const std::vector<float> want = TrainedWith(free.value(), 1);
  c.train.clip_norm = 1e6;
  const Outcome<Plan> loose = CompileCase(c, 0);
  ASSERT_TRUE(loose.ok()) << loose.message();
  EXPECT_GT(loose->figures.clip_norm_bytes, 0);
  EXPECT_TRUE(TrainedWith(loose.value(), 1) == want);
  c.train.clip_norm = 1e-3;
  const std::vector<float> tight = TrainedWith(CompileCase(c, 0).value(), 1);
  // With plain descent the step's length is the rate times the norm: 0.01 * 1e-3.
  ZooSession session(free->bytes, {});
  double squares = 0;
  size_t at = 1;  // behind the loss
  for (const ParamInfo& info : session->params()) {
    std::vector<float> before(static_cast<size_t>(info.shape.elems()));
    ASSERT_TRUE(session->ReadBaseParam(info.name, before).ok());
    for (const float value : before) {
      const double moved = double{tight[at++]} - value;
      const std::string name(info.name);
      if (name.find("running") == std::string::npos) squares += moved * moved;
    }
  }
  EXPECT_NEAR(std::sqrt(squares), 1e-5, 1e-6);
}

}  // namespace
}  // namespace pocketune::test
