// Whole training steps on the CPU backend: the same bits whatever runs them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/zoo_session.h"

namespace pocketune::test {
namespace {

constexpr int kSteps = 3;

struct Case {
  const char* name;
  ModelSpec model;
};

class StepsTest : public ::testing::TestWithParam<Case> {
 protected:
  static std::vector<float> Train(const std::string& plan, const SessionOptions& options) {
    return ZooSession(plan, options).Train(kSteps);
  }

  static bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }
};

TEST_P(StepsTest, AnyNumberOfThreadsGivesTheSameBits) {
  for (const char* scheme : {"full", "blocks:2"}) {
    const std::string plan = CompileZooModel(GetParam().model, scheme, 4);
    const std::vector<float> one = Train(plan, {.threads = 1});
    for (const float value : one) ASSERT_TRUE(std::isfinite(value)) << scheme;
    EXPECT_NE(one[0], one[2]) << scheme << ": nothing was learned";
    for (const int threads : {2, 3, 4}) {
      EXPECT_TRUE(SameBits(Train(plan, {.threads = threads}), one)) << scheme << ", " << threads;
    }
  }
}

TEST_P(StepsTest, PoisonedMemoryGivesTheSameBits) {
  for (const char* scheme : {"full", "bias", "blocks:2"}) {
    const std::string plan = CompileZooModel(GetParam().model, scheme, 2);
    EXPECT_TRUE(SameBits(Train(plan, {.threads = 2, .poison = true}), Train(plan, {.threads = 1})))
        << scheme;
  }
}

INSTANTIATE_TEST_SUITE_P(
    , StepsTest,
    ::testing::Values(
        Case{"MobileNetV2",
             {.name = "mobilenet_v2", .width = 0.35, .resolution = 48, .classes = 11, .batch = 2}},
        Case{"McuNet", {.name = "mcunet-5fps", .resolution = 48, .classes = 11, .batch = 2}},
        Case{"ResNet8", {.name = "resnet8", .classes = 11, .batch = 2}},
        Case{"DsCnn", {.name = "ds-cnn", .classes = 11, .batch = 2}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pocketune::test
