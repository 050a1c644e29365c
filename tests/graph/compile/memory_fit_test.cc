// Memory as an input of compilation, on random models: what is promised about budgets.
#include "graph/compile/memory_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "engine/base/rng.h"
#include "graph/ir/model.h"
#include "graph/ir/verifier.h"
#include "graph/passes/pass_manager.h"
#include "pocketune/compiler.h"
#include "tests/support/random_graph.h"

namespace pocketune {
namespace {

// A random model as the zoo would give it.
Model RandomModel(uint64_t seed) {
  Model::Impl impl;
  test::RandomGraph random(seed, 14);
  impl.forward = random.Take();
  PassContext context;
  EXPECT_TRUE(RunPasses(impl.forward, context, {"dce"}).ok());
  impl.name = impl.forward.name;
  impl.loss = {.label = "label", .sample_weight = "weight", .loss = "loss"};
  impl.batch = static_cast<int>(impl.forward.shape(0)[0]);
  EXPECT_TRUE(Verify(impl.forward).ok()) << Verify(impl.forward);
  return Model::Impl::Wrap(std::move(impl));
}

TrainSpec SpecOf(uint64_t seed) {
  TrainSpec spec;
  spec.scheme = seed % 3 == 0 ? "head" : "full";
  if (seed % 2 == 1) spec.batch_norm = BatchNormMode::kFrozen;
  return spec;
}

// The number behind "want at least".
int64_t SmallestOf(const std::string& message) {
  const size_t at = message.find("want at least ");
  return at == std::string::npos ? -1 : std::atoll(message.c_str() + at + 14);
}

class BudgetTest : public testing::TestWithParam<uint64_t> {};

TEST_P(BudgetTest, NoPlanIsAboveItsBudgetAndTheSmallestThatIsNamedIsTheSmallestThatWorks) {
  const Model model = RandomModel(GetParam());
  const TrainSpec spec = SpecOf(GetParam());
  const Outcome<Plan> free = Compile(model, spec, {});
  ASSERT_TRUE(free.ok()) << free.message();
  const int64_t peak = free->figures.predicted_peak_bytes;
  EXPECT_EQ(free->figures.memory.given_up, "");

  const Outcome<Plan> none = Compile(model, spec, {.memory_bytes = 1});
  ASSERT_EQ(none.code(), StatusCode::kOutOfRange) << none.message();
  const int64_t smallest = SmallestOf(none.message());
  ASSERT_GT(smallest, 0) << none.message();
  EXPECT_LE(smallest, peak);
  const Outcome<Plan> tight = Compile(model, spec, {.memory_bytes = smallest});
  ASSERT_TRUE(tight.ok()) << tight.message();
  EXPECT_LE(tight->figures.predicted_peak_bytes, smallest);
  EXPECT_EQ(tight->figures.memory.given_up == "", smallest == peak);
  EXPECT_EQ(Compile(model, spec, {.memory_bytes = smallest - 1}).code(), StatusCode::kOutOfRange);

  const RandomStream random(GetParam(), "budgets");
  for (uint64_t i = 0; i < 3; ++i) {
    const auto above =
        static_cast<int64_t>(random.Uniform(i) * static_cast<double>(peak - smallest));
    const Outcome<Plan> plan = Compile(model, spec, {.memory_bytes = smallest + above});
    ASSERT_TRUE(plan.ok()) << plan.message();
    EXPECT_LE(plan->figures.predicted_peak_bytes, smallest + above);
    EXPECT_LE(plan->figures.step_cost_ms, tight->figures.step_cost_ms);
    EXPECT_EQ(plan->figures.memory.fastest_peak_bytes, peak);
  }
}

TEST_P(BudgetTest, EveryPlanOnTheFrontIsWhatItsOwnBudgetGivesOrBetter) {
  const Model model = RandomModel(GetParam());
  const TrainSpec spec = SpecOf(GetParam());
  const Outcome<std::vector<ParetoPoint>> front = FindPareto(model, spec, {});
  ASSERT_TRUE(front.ok()) << front.message();
  ASSERT_FALSE(front->empty());
  for (size_t i = 0; i < front->size(); ++i) {
    const ParetoPoint& point = front.value()[i];
    if (i > 0) {
      EXPECT_GT(point.predicted_peak_bytes, front.value()[i - 1].predicted_peak_bytes);
      EXPECT_LT(point.step_cost_ms, front.value()[i - 1].step_cost_ms);
    }
    const Outcome<Plan> plan = Compile(model, spec, {.memory_bytes = point.predicted_peak_bytes});
    ASSERT_TRUE(plan.ok()) << plan.message();
    EXPECT_LE(plan->figures.predicted_peak_bytes, point.predicted_peak_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, BudgetTest, testing::Range<uint64_t>(0, 8));

}  // namespace
}  // namespace pocketune
