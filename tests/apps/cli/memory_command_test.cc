// --memory bounds whole processes: what is refused, what is said, and that it changes no answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/apps/cli/cli_test_util.h"
#include "tests/support/smallest_budget.h"

namespace pocketune::test {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using Args = std::vector<std::string>;

class MemoryCommandTest : public ::testing::Test {
 protected:
  MemoryCommandTest() { WriteIdxFolder(data_); }

  std::string File(const std::string& name) const { return temp_.File(name); }
  Args Train(const std::string& out) const { return TrainArgs(data_, File(out)); }

  // What a command that must succeed writes.
  static Json JsonOf(Args args) {
    const CommandResult result = RunPocketune(With(std::move(args), "--json", "-"));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  // Refused with 1 KiB; with what that names it works, and with a byte less it does not.
  void ExpectSmallestWorks(const Args& args) const {
    const CommandResult refused = RunPocketune(With(args, "--memory", "1KiB"));
    ASSERT_EQ(refused.exit_code, 7) << refused.err;
    ExpectOneLine(refused.err);
    const int64_t smallest = SmallestIn(refused.err);
    EXPECT_EQ(RunPocketune(With(args, "--memory", std::to_string(smallest - 1))).exit_code, 7);
    const CommandResult enough = RunPocketune(With(args, "--memory", std::to_string(smallest)));
    EXPECT_EQ(enough.exit_code, 0) << enough.err;
  }

  TempFolder temp_;
  const std::string data_ = temp_.File("data");
};

TEST_F(MemoryCommandTest, TheSmallestBudgetThatTrainNamesIsEnoughForTheWholeRun) {
  for (const char* scheme : {"full", "head"}) {
    SCOPED_TRACE(scheme);
    ExpectSmallestWorks(With(Train(scheme), "--scheme", scheme));
  }
}

TEST_F(MemoryCommandTest, EvalAndInferNameTheSmallestBudgetToo) {
  ASSERT_EQ(RunPocketune(Train("run")).exit_code, 0);
  ExpectSmallestWorks({"eval", "--checkpoint", File("run")});
  data::WriteFile(File("a.png"), data::EncodePng(data::MakeImage(90, 70, 1, 3)));
  ExpectSmallestWorks({"infer", "--checkpoint", File("run"), File("a.png")});
}

TEST_F(MemoryCommandTest, AnswersAreTheSameWithinABudget) {
  for (const char* cache : {"auto", "off"}) {
    const Args args = With(With(Train("free"), "--scheme", "head"), "--prefix-cache", cache);
    const Json free = JsonOf(With(args, "--out", File(std::string("free") + cache)));
    const Json bounded =
        JsonOf(With(With(args, "--out", File(std::string("bound") + cache)), "--memory", "8MiB"));
    for (const char* key : {"loss_first", "loss_last", "accuracy", "predicted_peak_bytes"}) {
      EXPECT_EQ(bounded[key], free[key]) << key;
    }
  }
  const Json eval = JsonOf({"eval", "--checkpoint", File("freeoff")});
  const Json bounded = JsonOf({"eval", "--checkpoint", File("freeoff"), "--memory", "8MiB"});
  EXPECT_EQ(bounded["loss"], eval["loss"]);
  EXPECT_EQ(bounded["confusion"], eval["confusion"]);
}

TEST_F(MemoryCommandTest, TheProcessesOwnPeakIsWrittenAndSaid) {
  const CommandResult run = RunPocketune(With(Train("run"), "--json", File("train.json")));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr(" of the process, of which the plan was to take "));
  std::ifstream in(File("train.json"));
  const Json train = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  EXPECT_GT(train["process_peak_bytes"], train["measured_peak_bytes"]);
  EXPECT_GT(train["compiler_peak_bytes"], 0);
  EXPECT_GT(JsonOf({"eval", "--checkpoint", File("run")})["process_peak_bytes"], 0);
  const Json bench = JsonOf({"bench", "--model", "small-cnn", "--steps", "2", "--warmup", "0"});
  EXPECT_GT(bench["process_peak_bytes"], bench["measured_peak_bytes"]);
}

// Processes whose command line has both words.
std::vector<pid_t> FindProcesses(const std::string& a, const std::string& b) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in(entry.path() / "cmdline");
    std::stringstream line_in;  // of a process that ends meanwhile: nothing, without an exception
    line_in << in.rdbuf();
    const std::string line = line_in.str();
    if (line.find(a) == std::string::npos || line.find(b) == std::string::npos) continue;
    found.push_back(static_cast<pid_t>(std::stol(pid)));
  }
  return found;
}

// Waits until there are so many; empty where they do not come.
std::vector<pid_t> AwaitProcesses(const std::string& a, const std::string& b, size_t count) {
  for (int i = 0; i < 60000; ++i) {
    std::vector<pid_t> found = FindProcesses(a, b);
    if (found.size() >= count) return found;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {};
}

TEST_F(MemoryCommandTest, AMeasurementThatIsKilledCostsItsFigureAlone) {
  Args args = With(With(Train("run"), "--model", "mobilenet_v2"), "--json", File("train.json"));
  args = With(With(args, "--resolution", "96"), "--steps", "2");
  Command run(Pocketune(args));
  const std::vector<pid_t> child = AwaitProcesses("measure-child", File("run"), 1);
  ASSERT_EQ(child.size(), 1u);
  // By then all else is there.
  EXPECT_TRUE(std::filesystem::exists(File("run/report.html")));
  kill(child[0], SIGKILL);
  const CommandResult result = run.Wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("was not measured"));
  std::ifstream in(File("train.json"));
  const Json train = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(train["measured_peak_bytes"].is_null());
  EXPECT_TRUE(train["accuracy"].is_number());
}

TEST_F(MemoryCommandTest, ASignalWhileCompilingLeavesNothingBehind) {
  const std::string temporary = File("temporary");
  std::filesystem::create_directory(temporary);
  const char* const before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("TMPDIR", temporary.c_str(), 1);
  Args args = With(With(Train("run"), "--model", "resnet50"), "--resolution", "64");
  {
    Command run(Pocketune(With(args, "--memory", "64MiB")));
    ASSERT_EQ(AwaitProcesses("resnet50", File("run"), 2).size(), 2u);  // it and the compiler
    run.Signal(SIGTERM);
    const CommandResult result = run.Wait();
    EXPECT_EQ(result.exit_code, 143) << result.err;
  }
  before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", kept.c_str(), 1);
  EXPECT_TRUE(std::filesystem::is_empty(temporary));
  EXPECT_FALSE(std::filesystem::exists(File("run")));
}

}  // namespace
}  // namespace pocketune::test
