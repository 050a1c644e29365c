// Training with saved activations in 16 and 8 bits, on models of the zoo.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/zoo_session.h"

namespace pocketune::test {
namespace {

ModelSpec MobileNet() {
  return {.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 10, .batch = 8};
}

Outcome<Plan> CompileWith(const ModelSpec& spec, int bits, int64_t memory_bytes = 0) {
  const Outcome<ZooModel> model = BuildZooModel(spec, "", 1, nullptr);
  EXPECT_TRUE(model.ok()) << model.message();
  return Compile(model->model, {.saved_bits = bits}, {.memory_bytes = memory_bytes});
}

TEST(SavedActivationsTest, FewerBitsNeedASmallerArenaAndSayHowManyAreKeptSo) {
  for (const ModelSpec& spec : {MobileNet(), ModelSpec{.name = "resnet8", .batch = 8}}) {
    SCOPED_TRACE(spec.name);
    const Outcome<Plan> all = CompileWith(spec, 32), half = CompileWith(spec, 16),
                        quarter = CompileWith(spec, 8);
    ASSERT_TRUE(all.ok() && half.ok() && quarter.ok());
    EXPECT_EQ(all->figures.narrowed_activations, 0);
    EXPECT_GT(half->figures.narrowed_activations, 5);
    EXPECT_EQ(quarter->figures.saved_bits, 8);
    EXPECT_LT(half->figures.arena_bytes, 0.8 * static_cast<double>(all->figures.arena_bytes));
    EXPECT_LT(quarter->figures.arena_bytes, half->figures.arena_bytes);
  }
}

TEST(SavedActivationsTest, OtherNumbersOfBitsAreRefused) {
  EXPECT_EQ(CompileWith(MobileNet(), 4).code(), StatusCode::kInvalidArgument);
}

// Losses of steps on one batch.
std::vector<float> Losses(const Plan& plan, int steps) {
  ZooSession session(plan.bytes, {});
  std::vector<float> losses = session.Train(steps);
  losses.resize(static_cast<size_t>(steps));
  return losses;
}

TEST(SavedActivationsTest, TheForwardPassKeepsItsBitsAndLearningItsPace) {
  constexpr int kSteps = 30;
  const std::vector<float> want = Losses(CompileWith(MobileNet(), 32).value(), kSteps);
  ASSERT_LT(want.back(), 0.5 * want[0]);
  for (const int bits : {16, 8}) {
    const std::vector<float> got = Losses(CompileWith(MobileNet(), bits).value(), kSteps);
    EXPECT_EQ(got[0], want[0]);
    EXPECT_NE(got[1], want[1]);
    EXPECT_NEAR(got[1], want[1], 0.01 * want[0]);
    EXPECT_NEAR(got.back(), want.back(), 0.05 * want[0]) << bits;
  }
}

// The number that ends a refusal.
int64_t SmallestOf(int bits) {
  const Outcome<Plan> none = CompileWith(MobileNet(), bits, 1);
  EXPECT_EQ(none.code(), StatusCode::kOutOfRange) << none.message();
  return std::stoll(none.message().substr(none.message().rfind(' ') + 1));
}

TEST(SavedActivationsTest, UnderABudgetTheyAreAWayThatIsTakenOnlyWhereItIsNeeded) {
  const int64_t peak = CompileWith(MobileNet(), 32)->figures.predicted_peak_bytes;
  EXPECT_EQ(CompileWith(MobileNet(), 8, peak)->figures.narrowed_activations, 0);
  // Less than second runs alone can do.
  const int64_t budget = SmallestOf(8);
  EXPECT_LT(budget, SmallestOf(32));
  const Outcome<Plan> fitted = CompileWith(MobileNet(), 8, budget);
  ASSERT_TRUE(fitted.ok()) << fitted.message();
  EXPECT_LE(fitted->figures.predicted_peak_bytes, budget);
  EXPECT_FALSE(CompileWith(MobileNet(), 32, budget).ok());
  ASSERT_GT(fitted->figures.narrowed_activations, 0) << fitted->figures.memory.given_up;
  EXPECT_NE(fitted->figures.memory.given_up.find("saved activations are kept in"),
            std::string::npos);
}

}  // namespace
}  // namespace pocketune::test
