// Operators that run on parts of the batch compute the same step in less memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/plan/plan_generated.h"
#include "engine/plan/plan_view.h"
#include "tests/support/test_name.h"
#include "tests/support/zoo_session.h"

namespace pocketune::test {
namespace {

constexpr int64_t kAllCached = int64_t{1} << 40;
constexpr int64_t kHardlyCached = 16384;

struct Case {
  ModelSpec model;
  const char* scheme;
};

const Case kCases[] = {
    {{.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 10, .batch = 6}, "full"},
    {{.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 10, .batch = 6}, "bias"},
    {{.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 10, .batch = 4},
     "channels(0.5)"},
    {{.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 10, .batch = 4},
     "pockengine"},
    {{.name = "mcunet-5fps", .resolution = 64, .batch = 4}, "blocks:4"},
    {{.name = "ds-cnn", .batch = 8}, "full"},
    {{.name = "resnet8", .batch = 4}, "full"},
    {{.name = "resnet8", .batch = 4}, "head"},
};

Outcome<Plan> CompileWith(const Case& c, int64_t cache_bytes) {
  const Outcome<ZooModel> model = BuildZooModel(c.model, "", 1, nullptr);
  EXPECT_TRUE(model.ok()) << model.message();
  TrainSpec train;
  train.scheme = c.scheme;
  return Compile(model->model, train, {.threads = 2, .cache_bytes = cache_bytes});
}

size_t LoopsOf(const Plan& plan) {
  const auto* fb_plan = fb::GetPlan(plan.bytes.data() + 64);  // behind the header
  size_t loops = 0;
  for (const fb::Schedule* schedule : *fb_plan->schedules()) loops += LoopCount(*schedule);
  return loops;
}

class ZooLoopsTest : public ::testing::TestWithParam<Case> {};

TEST_P(ZooLoopsTest, PartsOfTheBatchMakeTheSameStepInLessMemory) {
  const Outcome<Plan> whole = CompileWith(GetParam(), kAllCached);
  const Outcome<Plan> parts = CompileWith(GetParam(), kHardlyCached);
  ASSERT_TRUE(whole.ok() && parts.ok()) << parts.message();
  EXPECT_EQ(LoopsOf(whole.value()), 0u);
  EXPECT_GT(LoopsOf(parts.value()), 0u);
  // The gradient of a normalization in pieces needs a little more than in one.
  EXPECT_LE(static_cast<double>(parts->figures.arena_bytes),
            1.05 * static_cast<double>(whole->figures.arena_bytes));
  ZooSession one(whole->bytes, {}), other(parts->bytes, {.poison = true});
  // Sums over the batch are rounded in another order.
  EXPECT_LT(Distance(one.Train(1), other.Train(1)), 1e-5);
}

TEST_P(ZooLoopsTest, TheBitsDoNotDependOnThreads) {
  const Outcome<Plan> plan = CompileWith(GetParam(), kHardlyCached);
  ASSERT_TRUE(plan.ok()) << plan.message();
  ZooSession one(plan->bytes, {.threads = 1}), two(plan->bytes, {.threads = 2});
  EXPECT_TRUE(one.Train(2) == two.Train(2));
}

TEST(BatchLoopsTest, RowsOfTheFrozenPrefixStandForItWithinLoops) {
  const Outcome<Plan> plan =
      CompileWith({{.name = "resnet8", .batch = 4}, "blocks:1"}, kHardlyCached);
  ASSERT_TRUE(plan.ok()) << plan.message();
  ZooSession usual(plan->bytes, {}), from_rows(plan->bytes, {.poison = true});
  const PrefixInfo prefix = from_rows->prefix("train");
  ASSERT_GT(prefix.row_bytes, 0);
  std::vector<uint8_t> rows(static_cast<size_t>(4 * prefix.row_bytes));
  ASSERT_TRUE(from_rows->ComputePrefix("train", rows).ok());
  std::vector<const uint8_t*> each;
  for (int i = 0; i < 4; ++i) each.push_back(rows.data() + i * prefix.row_bytes);
  ASSERT_TRUE(from_rows->BindPrefix("train", each).ok());
  EXPECT_TRUE(usual.Train(2) == from_rows.Train(2));
}

INSTANTIATE_TEST_SUITE_P(Zoo, ZooLoopsTest, ::testing::ValuesIn(kCases), [](const auto& info) {
  return TestName(info.param.model.name + " " + info.param.scheme);
});

}  // namespace
}  // namespace pocketune::test
