#include "apps/search/peak_budget.h"

#include <gtest/gtest.h>

#include <vector>

#include "apps/train/exit_code.h"

namespace pocketune::test {
namespace {

constexpr int64_t kForward = 1000;  // bytes of a plan in which the classifier alone learns

// Three layers: each bias brings a little and costs 10 bytes, weights bring more and cost 100, 200
// and 300.
SelectionProblem ThreeLayers() {
  SelectionProblem problem;
  for (int k = 0; k <= 3; ++k) problem.biases.push_back({0.01 * k, 5 + 10 * k});
  problem.weights = {{{0.3, 300}}, {{0.2, 200}}, {{0.1, 100}}};
  return problem;
}

class PeakBudgetTest : public testing::Test {
 protected:
  absl::StatusOr<PeakSelection> Select(int64_t max_peak) {
    return SelectByPeak(ThreeLayers(), max_peak,
                        [this](const Selection& selection) -> absl::StatusOr<int64_t> {
                          ++compiled_;
                          return PeakOf(selection);
                        });
  }
  // Of what learns three bytes each, and from the second weight on in steps.
  static int64_t PeakOf(const Selection& selection) {
    int64_t weights = 0;
    for (const int choice : selection.weights) weights += choice >= 0;
    return kForward + 3 * (selection.total.bytes - 5) + (weights > 1 ? 500 : 0);
  }

  int compiled_ = 0;
};

TEST_F(PeakBudgetTest, ABudgetThatDoesNotBindTakesAllInTwoPlans) {
  const absl::StatusOr<PeakSelection> found = Select(1 << 20);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->best.biases, 3);
  EXPECT_EQ(found->best.weights, (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(found->model_bytes, 635);
  EXPECT_EQ(compiled_, 2);
}

TEST_F(PeakBudgetTest, EachBudgetIsKeptAndAByteLessThanAPeakGivesLess) {
  double last_gain = 1e9;
  for (int64_t budget = 1 << 20;;) {
    const absl::StatusOr<PeakSelection> found = Select(budget);
    ASSERT_TRUE(found.ok()) << found.status();
    const int64_t peak = PeakOf(found->best);
    EXPECT_LE(peak, budget);
    EXPECT_LE(found->best.total.bytes, found->model_bytes);
    EXPECT_LT(found->best.total.gain, last_gain) << budget;
    last_gain = found->best.total.gain;
    if (peak == kForward) break;
    budget = peak - 1;
  }
  EXPECT_EQ(last_gain, 0);
}

TEST_F(PeakBudgetTest, TheClassifierAloneIsTheLeast) {
  EXPECT_TRUE(Select(kForward).ok());
  const absl::StatusOr<PeakSelection> found = Select(kForward - 1);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(ExitCodeOf(found.status()), ExitCode::kBudget);
  EXPECT_NE(found.status().message().find("want at least 1000"), std::string::npos);
}

TEST_F(PeakBudgetTest, PassesErrorsOn) {
  const auto fails = [](const Selection&) -> absl::StatusOr<int64_t> {
    return Fail(ExitCode::kIo, "disk");
  };
  EXPECT_EQ(ExitCodeOf(SelectByPeak(ThreeLayers(), 1 << 20, fails).status()), ExitCode::kIo);
}

}  // namespace
}  // namespace pocketune::test
