// Sessions that share threads.
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/parallel_plan.h"
#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::ParallelPlan;
using test::TinySession;

constexpr int kSteps = 40;

SessionOptions Options(std::shared_ptr<ThreadPool> pool = nullptr) {
  SessionOptions options = test::ReferenceOptions();
  options.kernels.push_back(test::TestKernels());
  options.pool = std::move(pool);
  return options;
}

std::shared_ptr<ThreadPool> Pool(int threads) {
  Result<std::shared_ptr<ThreadPool>> pool = MakeThreadPool({.threads = threads});
  EXPECT_TRUE(pool.ok()) << pool.status().message();
  return pool.value();
}

std::vector<float> Logits(TinySession& session) {
  std::vector<float> logits(test::kTinySamples * test::kTinyClasses);
  EXPECT_TRUE(session->Predict().ok());
  EXPECT_TRUE(session->Read("eval", "logits", logits).ok());
  return logits;
}

TEST(SharedPoolTest, ASessionHasTheThreadsOfThePoolThatItIsGiven) {
  SessionOptions options = Options(Pool(3));
  options.threads = 7;
  TinySession session(options, ParallelPlan());
  ASSERT_TRUE(session.status().ok()) << session.status().message();
  EXPECT_EQ(session->threads(), 3);
  options.pool.reset();  // the session keeps it
  TinySession alone(Options(), ParallelPlan());
  EXPECT_EQ(session.Train(5), alone.Train(5));
}

TEST(SharedPoolTest, TrainingAndPredictionSideBySideGiveTheBitsThatTheyGiveAlone) {
  TinySession alone(Options(), ParallelPlan());
  const std::vector<float> before = Logits(alone);
  const std::vector<float> losses = alone.Train(kSteps);

  const std::shared_ptr<ThreadPool> pool = Pool(3);
  TinySession trainer(Options(pool), ParallelPlan()), predictor(Options(pool), ParallelPlan());
  std::vector<float> seen;
  std::thread training([&] { seen = trainer.Train(kSteps); });
  for (int i = 0; i < kSteps; ++i) EXPECT_EQ(Logits(predictor), before);
  training.join();
  EXPECT_EQ(seen, losses);
  EXPECT_EQ(trainer.Params(), alone.Params());
}

// A plan for one slot has scratch for one, however many threads the pool has.
TEST(SharedPoolTest, PlansOfDifferentSlotsTakeTurns) {
  test::PlanSpec one_slot = ParallelPlan();
  one_slot.slots = 1;
  SessionOptions poisoned = Options(Pool(4));
  poisoned.poison = true;
  TinySession wide(poisoned, ParallelPlan()), narrow(poisoned, one_slot);
  TinySession alone(Options(), ParallelPlan());
  for (int i = 0; i < 5; ++i) {
    const std::vector<float> loss = alone.Train(1);
    EXPECT_EQ(wide.Train(1), loss);
    EXPECT_EQ(narrow.Train(1), loss);
  }
  EXPECT_EQ(narrow.Params(), alone.Params());
}

TEST(SharedPoolTest, SessionsOpenAndCloseWhileAnotherTrains) {
  const std::shared_ptr<ThreadPool> pool = Pool(2);
  TinySession trainer(Options(pool), ParallelPlan()), alone(Options(), ParallelPlan());
  std::vector<float> seen;
  std::thread training([&] { seen = trainer.Train(kSteps); });
  for (int i = 0; i < 5; ++i) {
    TinySession other(Options(pool), ParallelPlan());
    EXPECT_TRUE(other.status().ok());
  }
  training.join();
  EXPECT_EQ(seen, alone.Train(kSteps));
}

}  // namespace
}  // namespace pocketune
