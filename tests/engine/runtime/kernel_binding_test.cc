// How a session finds kernels, feeds them and shares their states.
#include <gtest/gtest.h>

#include "backends/api/isa_hold.h"
#include "tests/support/parallel_plan.h"
#include "tests/support/test_kernels.h"
#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::ParallelPlan;
using test::TinySession;

SessionOptions Options(int threads = 1) {
  SessionOptions options = test::ReferenceOptions(threads);
  options.kernels.push_back(test::TestKernels());
  return options;
}

test::PlanSpec StatePlan() {
  test::PlanSpec spec = test::TinyPlan();
  for (test::ScheduleSpec& schedule : spec.schedules) {
    schedule.steps[0].kernel = "test.matmul_state";
  }
  return spec;
}

TEST(KernelBindingTest, GivesTheSameBitsWithAnyNumberOfThreads) {
  TinySession one(Options(), ParallelPlan());
  ASSERT_TRUE(one.status().ok()) << one.status().message();
  const std::vector<float> losses = one.Train(20);
  for (int threads = 2; threads <= 4; ++threads) {
    SessionOptions options = Options(threads);
    options.poison = true;
    TinySession session(options, ParallelPlan());
    ASSERT_TRUE(session.status().ok()) << session.status().message();
    EXPECT_EQ(session.Train(20), losses) << threads;
    EXPECT_EQ(session.Params(), one.Params()) << threads;
  }
}

TEST(KernelBindingTest, KeepsToTheSlotsThatScratchWasPlannedFor) {
  test::PlanSpec spec = ParallelPlan();
  spec.slots = 1;
  for (test::ScheduleSpec& schedule : spec.schedules) {
    for (test::StepSpec& step : schedule.steps) step.scratch_bytes /= 4;
  }
  TinySession one(Options(), spec), four(Options(4), spec);
  ASSERT_TRUE(four.status().ok()) << four.status().message();
  EXPECT_EQ(four.Train(20), one.Train(20));
}

TEST(KernelBindingTest, RefusesAPlanWithLessScratchThanAKernelNeeds) {
  test::PlanSpec spec = ParallelPlan();
  spec.schedules[1].steps[2].scratch_bytes = 4 * 3 * 4 - 1;
  TinySession session(Options(), spec);
  EXPECT_EQ(session.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session.status().detail(), 2);
  spec.schedules[1].steps[2].scratch_bytes = 4 * 3 * 4;
  EXPECT_TRUE(TinySession(Options(), spec).status().ok());
}

TEST(KernelBindingTest, RefusesKernelsThatAreUnknownOrOfAnotherOp) {
  for (const char* kernel : {"reference.silly", "reference.matmul", "relu"}) {
    test::PlanSpec spec = test::TinyPlan();
    spec.schedules[0].steps[1].kernel = kernel;
    TinySession session(Options(), spec);
    EXPECT_EQ(session.status().code(), StatusCode::kUnimplemented) << kernel;
    EXPECT_EQ(session.status().detail(), 1) << kernel;
  }
  SessionOptions none;
  EXPECT_EQ(TinySession(none).status().code(), StatusCode::kUnimplemented);
}

TEST(KernelBindingTest, RefusesAStepThatItsKernelDoesNotServe) {
  test::PlanSpec spec = StatePlan();
  spec.schedules[0].steps[2].kernel = "test.matmul_state";  // whose weight learns
  EXPECT_EQ(TinySession(Options(), spec).status().code(), StatusCode::kUnimplemented);
}

TEST(KernelBindingTest, SharesOneStateBetweenSchedules) {
  test::TheStateLog() = {};
  {
    TinySession session(Options(), StatePlan()), plain;
    ASSERT_TRUE(session.status().ok()) << session.status().message();
    EXPECT_EQ(test::TheStateLog().prepared, 1);
    EXPECT_FALSE(test::TheStateLog().saw_other_data);
    session.Train(1);
    float loss, want;
    ASSERT_TRUE(session->EvalStep(&loss).ok());
    EXPECT_EQ(test::TheStateLog().runs, 2);
    plain.Train(1);
    ASSERT_TRUE(plain->EvalStep(&want).ok());
    EXPECT_NEAR(loss, want, 1e-5);
    EXPECT_EQ(test::TheStateLog().released, 0);
  }
  EXPECT_EQ(test::TheStateLog().released, 1);
}

TEST(KernelBindingTest, MakesAnotherStateForAnotherShapeOrConstant) {
  test::PlanSpec spec = StatePlan();
  // The evaluation runs with the weight's values from another place.
  spec.schedules[1].tensors[test::kTinyW1].storage = fb::Storage::Const;
  spec.schedules[1].tensors[test::kTinyW1].offset = 0;
  test::TheStateLog() = {};
  EXPECT_TRUE(TinySession(Options(), spec).status().ok());
  EXPECT_EQ(test::TheStateLog().prepared, 1) << "the same bytes under another name";
  spec.segment.insert(spec.segment.begin(), 16, 0.0f);
  for (test::ParamSpec& param : spec.params) {
    if (param.segment_offset >= 0) param.segment_offset += 64;
  }
  test::TheStateLog() = {};
  EXPECT_TRUE(TinySession(Options(), spec).status().ok());
  EXPECT_EQ(test::TheStateLog().prepared, 2);
  EXPECT_EQ(test::TheStateLog().released, 2);
}

TEST(KernelBindingTest, PassesOnThatAStateCouldNotBeMade) {
  test::TheStateLog() = {};
  test::TheStateLog().prepare_status = Status(StatusCode::kResourceExhausted, "no room", 3);
  TinySession session(Options(), StatePlan());
  EXPECT_EQ(session.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(test::TheStateLog().released, 0);
  test::TheStateLog() = {};
}

// A library may fail in the middle of a run: no weight takes what it did not compute.
TEST(KernelBindingTest, PassesOnThatAKernelCouldNotRunAndLearnsNothingThen) {
  test::TheStateLog() = {};
  TinySession session(Options(), StatePlan());
  ASSERT_TRUE(session.status().ok()) << session.status().message();
  const std::vector<float> before = session.Params();
  std::vector<uint8_t> rows(test::kTinySamples * test::kTinyHidden * 4);
  test::TheStateLog().run_fails = true;
  float loss = 0;
  EXPECT_EQ(session->TrainStep(0.1, &loss).code(), StatusCode::kInternal);
  EXPECT_EQ(session->EvalStep(&loss).code(), StatusCode::kInternal);
  EXPECT_EQ(session->Predict().code(), StatusCode::kInternal);
  EXPECT_EQ(session->ComputePrefix("train", rows).code(), StatusCode::kInternal);
  EXPECT_EQ(session.Params(), before);
  test::TheStateLog().run_fails = false;
  EXPECT_TRUE(session->Predict().ok());
  EXPECT_TRUE(session->ComputePrefix("train", rows).ok());
  session.Train(1);
  EXPECT_NE(session.Params(), before);
}

TEST(KernelBindingTest, KeepsTheInstructionSetWhileItIsOpen) {
  EXPECT_FALSE(IsaHold::any());
  {
    const TinySession one, another;
    EXPECT_TRUE(IsaHold::any());
  }
  EXPECT_FALSE(IsaHold::any());
  test::PlanSpec unsound = test::TinyPlan();
  unsound.arena_bytes = int64_t{1} << 47;
  EXPECT_FALSE(TinySession(Options(), unsound).status().ok());
  EXPECT_FALSE(IsaHold::any());
}

}  // namespace
}  // namespace pocketune
