// What signals do to a training: it saves and ends, and a second one ends it at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using Args = std::vector<std::string>;

class RunToStop {
 protected:
  RunToStop() { WriteIdxFolder(File("data")); }

  std::string File(const std::string& name) const { return temp_.File(name); }
  Args Endless() const {
    return Pocketune(With(TrainArgs(File("data"), File("run")), "--epochs", "100000"));
  }
  // Signals are caught once the loop runs, which shows by its second save.
  void WaitForTheLoop() const {
    while (!std::filesystem::exists(File("run/checkpoint-b"))) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  TempFolder temp_;
};

class StopSignalTest : public RunToStop, public ::testing::TestWithParam<int> {};
class SecondSignalTest : public RunToStop, public ::testing::Test {};

TEST_P(StopSignalTest, SavesAndEndsWithItsCode) {
  Command run(Endless());
  WaitForTheLoop();
  run.Signal(GetParam());
  const CommandResult result = run.Wait();
  EXPECT_EQ(result.exit_code, 128 + GetParam()) << result.err;
  EXPECT_EQ(result.err.rfind("pocketune: stopped by a signal after step ", 0), 0u) << result.err;
  const size_t step = result.err.find("after step ");
  const CommandResult resumed =
      RunPocketune({"train", "--resume", "--out", File("run"), "--time-budget", "0.001"});
  EXPECT_NE(resumed.out.find(result.err.substr(step, result.err.find(';') - step)),
            std::string::npos)
      << resumed.out;
}

// Of two that wait the system hands over the lower number first, whichever was sent first.
TEST_P(StopSignalTest, TwoAtOnceAreOneWish) {
  Command run(Endless());
  WaitForTheLoop();
  run.Signal(GetParam());
  run.Signal(SIGHUP);
  const CommandResult result = run.Wait();
  EXPECT_THAT(result.exit_code, ::testing::AnyOf(128 + GetParam(), 128 + SIGHUP)) << result.err;
  EXPECT_EQ(result.err.rfind("pocketune: stopped by a signal after step ", 0), 0u) << result.err;
}

TEST_P(StopSignalTest, StaysIgnoredWhereItWasFromTheStart) {
  Command run(Endless(), {.ignored_signal = GetParam()});
  WaitForTheLoop();
  run.Signal(GetParam());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  run.Signal(GetParam() == SIGTERM ? SIGINT : SIGTERM);
  EXPECT_EQ(run.Wait().exit_code, 128 + (GetParam() == SIGTERM ? SIGINT : SIGTERM));
}

INSTANTIATE_TEST_SUITE_P(Of, StopSignalTest,
                         ::testing::Values(SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXCPU),
                         [](const auto& info) {
                           return "SIG" + std::string(sigabbrev_np(info.param));
                         });

// Both come while the first step runs, which takes seconds.
TEST_F(SecondSignalTest, EndsItAtOnce) {
  data::WriteImageFolder(File("photos"), 24);
  Command run(Pocketune({"train", "--model", "resnet18", "--resolution", "320", "--batch", "16",
                         "--threads", "1", "--data", File("photos"), "--out", File("run")}));
  while (!std::filesystem::exists(File("run/checkpoint-a"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  run.Signal(SIGTERM);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  run.Signal(SIGINT);
  EXPECT_EQ(run.Wait().signal, SIGINT);
}

}  // namespace
}  // namespace pocketune::test
