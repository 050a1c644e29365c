#include "apps/search/finals.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/apps/search/search_test_util.h"

namespace pocketune::test {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

TEST(KnownFinalistsTest, AreTheLargestThatFit) {
  const SearchSpace space = SpaceOf(ModelOf("mbv2-w0.35"));
  const auto names = [&](int64_t max_bytes) {
    const auto known =
        KnownFinalists(space, "mbv2-w0.35", [&](const Learning& learning) -> absl::StatusOr<bool> {
          const absl::StatusOr<int64_t> bytes = space.BytesOf(learning);
          if (!bytes.ok()) return bytes.status();
          return *bytes <= max_bytes;
        });
    EXPECT_TRUE(known.ok()) << known.status();
    std::vector<std::string> found;
    for (const Finalist& finalist : *known) found.push_back(finalist.name);
    return found;
  };
  // The labels are KiB, rounded down; the last ten layers take 203,440 bytes.
  EXPECT_EQ(names(100 << 10)[0], "mcunetv3:mbv2-w0.35-99");
  EXPECT_EQ(names(50 << 10)[0], "mcunetv3:mbv2-w0.35-49");
  EXPECT_EQ(names(203440)[1], "last:10");
  EXPECT_EQ(names(203439)[1], "last:9");
  EXPECT_TRUE(names(0).empty());
}

TEST(KnownFinalistsTest, CostWhatTheirSchemesCost) {
  const SearchSpace space = SpaceOf(ModelOf("mcunet-5fps"));
  const auto known = KnownFinalists(space, "mcunet-5fps",
                                    [](const Learning&) -> absl::StatusOr<bool> { return true; });
  ASSERT_TRUE(known.ok());
  ASSERT_EQ((*known)[0].name, "mcunetv3:mcunet-5fps-148");
  const absl::StatusOr<int64_t> bytes = space.BytesOf((*known)[0].learning);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes / 1024, 148);
}

TEST(KnownFinalistsTest, NothingIsPublishedForOtherModels) {
  const SearchSpace space = SpaceOf(ModelOf("small-cnn"));
  const auto known = KnownFinalists(space, "small-cnn",
                                    [](const Learning&) -> absl::StatusOr<bool> { return true; });
  ASSERT_TRUE(known.ok());
  ASSERT_EQ(known->size(), 1u);
  EXPECT_EQ((*known)[0].learning.biases, space.layers());
  EXPECT_EQ((*known)[0].learning.weights.size(), static_cast<size_t>(space.layers()));
}

class RunFinalsTest : public testing::Test {
 protected:
  size_t Winner(const std::vector<TrialResult>& results, double max_ms) {
    std::vector<Finalist> finalists(results.size());
    size_t next = 0;
    const auto run = [&](const Finalist&) -> absl::StatusOr<TrialResult> {
      return results[next++];
    };
    const absl::StatusOr<size_t> winner = RunFinals(run, max_ms, &finalists);
    EXPECT_TRUE(winner.ok());
    EXPECT_EQ(next, results.size());
    return *winner;
  }
};

TEST_F(RunFinalsTest, TheSmallestLossWins) {
  EXPECT_EQ(Winner({{2, 0, 1}, {1, 0, 9}, {1, 0, 1}}, kNoLimit), 1u);
  EXPECT_EQ(Winner({{1, 0, 1}}, kNoLimit), 0u);
  EXPECT_EQ(Winner({{kNoLimit, 0, 1}, {kNoLimit, 0, 1}}, kNoLimit), 0u) << "all diverged";
}

TEST_F(RunFinalsTest, WhoIsTooSlowLoses) {
  EXPECT_EQ(Winner({{3, 0, 6}, {1, 0, 6}, {2, 0, 5}}, 5), 2u);
  EXPECT_EQ(Winner({{3, 0, 6}, {1, 0, 6}}, 5), 0u);
}

TEST_F(RunFinalsTest, PassesErrorsOn) {
  std::vector<Finalist> finalists(2);
  const auto run = [](const Finalist&) -> absl::StatusOr<TrialResult> {
    return absl::CancelledError("stopped");
  };
  EXPECT_TRUE(absl::IsCancelled(RunFinals(run, kNoLimit, &finalists).status()));
}

}  // namespace
}  // namespace pocketune::test
