// Memory as the compiler predicts it against memory as the process takes it, through `bench`, whose
// child process only opens the plan and steps.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/run_command.h"
#include "tests/support/sanitized.h"

namespace pocketune::test {
namespace {

struct Case {
  const char* name;
  std::vector<std::string> model;
  const char* blocks;  // of its repeated units the last four, or all but one
};

class MemoryTest : public ::testing::TestWithParam<Case> {};

TEST_P(MemoryTest, ThePredictionIsNeverTooLowAndHardlyTooHigh) {
#ifdef PT_SANITIZED
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  for (const std::string scheme : {"full", "bias", GetParam().blocks}) {
    for (const auto& [batch, threads] : {std::pair("1", "1"), {"8", "2"}}) {
      SCOPED_TRACE(scheme + ", batch " + batch + ", threads " + threads);
      std::vector<std::string> args = {"bench",   "--steps", "1",         "--warmup", "0",
                                       "--batch", batch,     "--quiet",   "--scheme", scheme,
                                       "--json",  "-",       "--threads", threads,    "--model"};
      args.insert(args.end(), GetParam().model.begin(), GetParam().model.end());
      const CommandResult result = RunPocketune(args);
      ASSERT_EQ(result.exit_code, 0) << result.err;
      const nlohmann::json json = nlohmann::json::parse(result.out, nullptr, false);
      ASSERT_TRUE(json.is_object()) << result.out;
      const double predicted = json["predicted_peak_bytes"], measured = json["measured_peak_bytes"];
      EXPECT_GE(predicted, measured);
      EXPECT_LE(predicted - measured, (2 << 20) + 0.03 * measured);
      EXPECT_GT(json["baseline_rss_bytes"], 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    , MemoryTest,
    ::testing::Values(
        Case{"MobileNetV2", {"mobilenet_v2", "--width", "0.35", "--resolution", "128"}, "blocks:4"},
        Case{"McuNet", {"mcunet-5fps", "--resolution", "128"}, "blocks:4"},
        Case{"ResNet8", {"resnet8"}, "blocks:2"}, Case{"DsCnn", {"ds-cnn"}, "blocks:4"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pocketune::test
