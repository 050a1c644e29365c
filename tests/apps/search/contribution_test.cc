#include "apps/search/contribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "apps/train/exit_code.h"
#include "tests/apps/search/search_test_util.h"

namespace pocketune::test {
namespace {

constexpr double kHeadLoss = 2.0;

class ContributionTest : public testing::Test {
 protected:
  // An analysis in which trials lose what `loss` says.
  absl::StatusOr<Contributions> Analyse(int64_t max_bytes,
                                        const std::function<double(const Learning&)>& loss) {
    AnalysisOptions options;
    options.max_bytes = max_bytes;
    options.run = [&](const std::string& key,
                      const Learning& learning) -> absl::StatusOr<TrialResult> {
      EXPECT_TRUE(keys_.insert(key).second) << key << " was trained twice";
      tried_.push_back(learning);
      return TrialResult{loss(learning), 0.5, 1.0 + learning.biases};
    };
    options.on_trial = [&](int done, int left) {
      EXPECT_EQ(done, static_cast<int>(tried_.size()));
      EXPECT_LE(done + left, bound_) << "the bound rose";
      bound_ = done + left;
    };
    return AnalyseContributions(space_, options);
  }

  // Each bias brings 0.01, each weight 0.1 times its part.
  static double Additive(const Learning& learning) {
    double loss = kHeadLoss - 0.01 * learning.biases;
    for (const Learning::Weight& weight : learning.weights) loss -= 0.1 * weight.ratio;
    return loss;
  }

  const Model model_ = ModelOf("mbv2-w0.35");
  const SearchSpace space_ = SpaceOf(model_);
  std::set<std::string> keys_;
  std::vector<Learning> tried_;
  int bound_ = std::numeric_limits<int>::max();
};

TEST_F(ContributionTest, FindsWhatAddsUp) {
  const absl::StatusOr<Contributions> found = Analyse(INT64_MAX, Additive);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->trials, static_cast<int>(tried_.size()));
  for (int k = 0; k <= space_.layers(); ++k) {
    EXPECT_NEAR(found->biases[k].gain, 0.01 * k, 1e-9) << k;
    EXPECT_NEAR(found->biases[k].ms, k, 1e-9) << k;
    EXPECT_EQ(found->biases[k].bytes, space_.BiasBytes(k));
  }
  for (int layer = 0; layer < space_.layers(); ++layer) {
    ASSERT_GE(found->weights[layer].size(), 2u) << layer;
    for (size_t c = 0; c < found->weights[layer].size(); ++c) {
      EXPECT_NEAR(found->weights[layer][c].gain, 0.1 * found->ratios[layer][c], 1e-9);
      EXPECT_EQ(found->weights[layer][c].bytes, space_.WeightBytes(layer, found->ratios[layer][c]));
    }
  }
}

TEST_F(ContributionTest, TriesNothingThatCannotFit) {
  constexpr int64_t kBudget = 40'000;
  const absl::StatusOr<Contributions> found = Analyse(kBudget, Additive);
  ASSERT_TRUE(found.ok());
  for (const Learning& learning : tried_) {
    int64_t bytes = space_.BiasBytes(learning.biases);
    for (const Learning::Weight& weight : learning.weights) {
      bytes += space_.WeightBytes(weight.layer, weight.ratio);
    }
    EXPECT_LE(bytes, kBudget);
  }
  const Selection best = SelectExactly({found->biases, found->weights, kBudget});
  ASSERT_TRUE(best.feasible);
  EXPECT_LE(best.total.bytes, kBudget);
  const Learning learning = LearningOf(*found, best);
  EXPECT_EQ(learning.biases, best.biases);
  EXPECT_FALSE(learning.weights.empty());
}

// 1 head, then biases until four trials in a row bring nothing, then eight layers' largest parts.
TEST_F(ContributionTest, StopsEarlyWhereNothingIsGained) {
  const absl::StatusOr<Contributions> found =
      Analyse(INT64_MAX, [](const Learning&) { return kHeadLoss; });
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->trials, 1 + 4 + 8);
  const Selection best = SelectExactly({found->biases, found->weights, INT64_MAX});
  EXPECT_EQ(best.biases, 0);
  EXPECT_EQ(best.total.gain, 0);
}

TEST_F(ContributionTest, ADivergingTrialBringsNothing) {
  const absl::StatusOr<Contributions> found = Analyse(INT64_MAX, [](const Learning& learning) {
    return learning.weights.empty() ? Additive(learning) : std::numeric_limits<double>::infinity();
  });
  ASSERT_TRUE(found.ok());
  for (const auto& choices : found->weights) EXPECT_TRUE(choices.empty());
}

TEST_F(ContributionTest, ADivergingClassifierIsAnError) {
  const absl::StatusOr<Contributions> found =
      Analyse(INT64_MAX, [](const Learning&) { return std::numeric_limits<double>::infinity(); });
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(ExitCodeOf(found.status()), ExitCode::kNumerics);
}

TEST_F(ContributionTest, PassesErrorsOn) {
  AnalysisOptions options;
  options.max_bytes = INT64_MAX;
  options.run = [](const std::string&, const Learning&) -> absl::StatusOr<TrialResult> {
    return Fail(ExitCode::kIo, "disk");
  };
  EXPECT_EQ(ExitCodeOf(AnalyseContributions(space_, options).status()), ExitCode::kIo);
}

}  // namespace
}  // namespace pocketune::test
