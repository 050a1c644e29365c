#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/apps/cli/cli_test_util.h"
#include "tests/support/smallest_budget.h"

namespace pocketune::test {
namespace {

using Json = nlohmann::json;

class SearchCommandTest : public testing::Test {
 protected:
  SearchCommandTest() { WriteIdxFolder(data_); }

  std::vector<std::string> Args(const std::string& out, const std::string& budget = "4KiB") const {
    return {"search", "--model",        "small-cnn", "--data", data_,           "--batch", "4",
            "--lr",   "0.02",           "--threads", "2",      "--trial-steps", "12",      "--out",
            out,      "--extra-memory", budget,      "--json", out + ".result"};
  }
  static Json ReadJson(const std::string& path) {
    const std::vector<uint8_t> bytes = ReadBytes(path);
    return Json::parse(bytes.begin(), bytes.end());
  }
  static size_t Lines(const std::string& path) {
    if (!std::filesystem::exists(path)) return 0;
    const std::vector<uint8_t> bytes = ReadBytes(path);
    return std::count(bytes.begin(), bytes.end(), '\n');
  }

  TempFolder temp_;
  const std::string data_ = temp_.File("data");
};

TEST_F(SearchCommandTest, FindsASchemeThatTrainTakes) {
  const std::string out = temp_.File("s.json");
  const CommandResult result = RunPocketune(Args(out));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json found = ReadJson(out + ".result");
  EXPECT_LE(found["extra_memory_bytes"], 4096);
  EXPECT_GT(found["exact_gain"], 0);
  EXPECT_LE(found["evolution_gain"], found["exact_gain"]);
  const auto trials = found["trials"].get<int64_t>();
  const auto finals = static_cast<int64_t>(found["finals"].size());
  EXPECT_EQ(found["training_steps"], (trials + 1) * 12 + finals * 48);
  EXPECT_EQ(found["trained_now"], trials + finals);
  EXPECT_EQ(ReadBytes(temp_.File("s.svg"))[0], '<');

  const CommandResult model =
      RunPocketune({"inspect", "--model", "small-cnn", "--classes", "3", "--scheme", out,
                    "--memory-model", "mcunetv3", "--json", temp_.File("m.json")});
  ASSERT_EQ(model.exit_code, 0) << model.err;
  EXPECT_EQ(ReadJson(temp_.File("m.json"))["extra_memory_bytes"], found["extra_memory_bytes"]);
  const CommandResult train =
      RunPocketune(With(TrainArgs(data_, temp_.File("run")), "--scheme", out));
  EXPECT_EQ(train.exit_code, 0) << train.err;
}

TEST_F(SearchCommandTest, LeavesNoTemporaryFile) {
  const std::string folder = temp_.File("tmp");
  std::filesystem::create_directory(folder);
  const char* before = std::getenv("TMPDIR");
  const std::string restored = before != nullptr ? before : "";
  setenv("TMPDIR", folder.c_str(), 1);
  const CommandResult result = RunPocketune(Args(temp_.File("s.json")));
  before != nullptr ? setenv("TMPDIR", restored.c_str(), 1) : unsetenv("TMPDIR");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(SearchCommandTest, TheSecondOfTwoWithOneOutputStopsAndHarmsNothing) {
  const std::string out = temp_.File("s.json"), same = temp_.File("./data/../s.json");
  Command first(Pocketune(Args(out)));
  while (Lines(out + ".trials") < 2) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  for (const std::string& path : {out, same}) {
    const CommandResult second = RunPocketune(Args(path));
    EXPECT_EQ(second.exit_code, 9) << second.err;
    ExpectOneLine(second.err);
    EXPECT_NE(second.err.find("another search is at work on it"), std::string::npos) << second.err;
  }
  const CommandResult done = first.Wait();
  EXPECT_EQ(done.exit_code, 0) << done.err;
  const CommandResult again = RunPocketune(Args(out));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(ReadJson(out + ".result")["trained_now"], 0);
}

TEST_F(SearchCommandTest, GoesOnBehindADamagedJournalAndSaysWhatIsLost) {
  const std::string out = temp_.File("s.json"), journal = out + ".trials";
  ASSERT_EQ(RunPocketune(Args(out)).exit_code, 0);
  const std::vector<uint8_t> scheme = ReadBytes(out);
  std::vector<uint8_t> bytes = ReadBytes(journal);
  const auto third = std::find(std::find(bytes.begin(), bytes.end(), '\n') + 1, bytes.end(), '\n');
  *(third + 20) ^= 1;
  bytes.insert(bytes.end(), 100, 0);
  WriteBytes(journal, bytes);
  const CommandResult result = RunPocketune(Args(out));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("2 lines are damaged or cut short"), std::string::npos) << result.err;
  EXPECT_EQ(ReadJson(out + ".result")["trained_now"], 1);
  EXPECT_EQ(ReadBytes(out), scheme);
}

TEST_F(SearchCommandTest, RefusesAFolderAsItsOutputBeforeItTrains) {
  const CommandResult result = RunPocketune(Args(data_));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_FALSE(std::filesystem::exists(data_ + ".trials"));
}

// Whenever it is killed, the same command goes on behind the trials that were done.
TEST_F(SearchCommandTest, LosesNoTrialToAKill) {
  const std::string whole = temp_.File("whole.json"), torn = temp_.File("torn.json");
  ASSERT_EQ(RunPocketune(Args(whole)).exit_code, 0);
  const size_t lines = Lines(whole + ".trials");
  ASSERT_GE(lines, 6u);
  for (size_t kill_at = 2; kill_at < lines; kill_at += 2) {
    Command run(Pocketune(Args(torn)));
    while (Lines(torn + ".trials") < kill_at) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    run.Signal(SIGKILL);
    run.Wait();
    ASSERT_GE(Lines(torn + ".trials"), kill_at);
  }
  const size_t known = Lines(torn + ".trials") - 1;
  const CommandResult result = RunPocketune(Args(torn));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(ReadBytes(torn), ReadBytes(whole));
  const Json found = ReadJson(torn + ".result");
  EXPECT_EQ(found["trials"].get<size_t>() + found["finals"].size(), lines - 1);
  EXPECT_EQ(found["trained_now"], lines - 1 - known);
}

TEST_F(SearchCommandTest, ASignalEndsItBetweenTrials) {
  const std::string out = temp_.File("s.json");
  Command run(Pocketune(Args(out)));
  while (Lines(out + ".trials") < 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  run.Signal(SIGTERM);
  const CommandResult result = run.Wait();
  EXPECT_EQ(result.exit_code, 143);
  ExpectOneLine(result.err);
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(SearchCommandTest, MeetsABoundOfTheProcess) {
  const std::string out = temp_.File("s.json");
  std::vector<std::string> args = Args(out);
  args.erase(std::find(args.begin(), args.end(), "--extra-memory"),
             std::find(args.begin(), args.end(), "--json"));
  const CommandResult too_little = RunPocketune(With(args, "--memory", "64KiB"));
  EXPECT_EQ(too_little.exit_code, 7);
  ExpectOneLine(too_little.err);
  ASSERT_EQ(RunPocketune(With(args, "--memory", "1GiB")).exit_code, 0);
  const Json all = ReadJson(out + ".result");
  const auto peak = all["predicted_peak_bytes"].get<int64_t>();
  // Beside the plan stand the pictures, the batches and the model.
  const int64_t beside = (int64_t{1} << 30) - all["plan_budget_bytes"].get<int64_t>();
  EXPECT_GT(beside, 0);
  const CommandResult less =
      RunPocketune(With(args, "--memory", std::to_string(beside + peak - 1)));
  ASSERT_EQ(less.exit_code, 0) << less.err;
  const Json fitting = ReadJson(out + ".result");
  EXPECT_LT(fitting["predicted_peak_bytes"], peak);
  EXPECT_LE(fitting["exact_gain"], all["exact_gain"]);
  EXPECT_LE(fitting["trained_now"], fitting["finals"].size());
}

TEST_F(SearchCommandTest, TheSmallestBoundThatARefusalNamesIsEnough) {
  std::vector<std::string> args = Args(temp_.File("s.json"));
  args.erase(std::find(args.begin(), args.end(), "--extra-memory"),
             std::find(args.begin(), args.end(), "--json"));
  const CommandResult refused = RunPocketune(With(args, "--memory", "64KiB"));
  ASSERT_EQ(refused.exit_code, 7) << refused.err;
  const int64_t smallest = SmallestIn(refused.err);
  const CommandResult less = RunPocketune(With(args, "--memory", std::to_string(smallest - 1)));
  EXPECT_EQ(less.exit_code, 7) << less.err;
  const CommandResult enough = RunPocketune(With(args, "--memory", std::to_string(smallest)));
  EXPECT_EQ(enough.exit_code, 0) << enough.err;
}

// The scheme is the one of the smallest loss among those that were trained whole.
TEST_F(SearchCommandTest, ComparesWholeSchemes) {
  const std::string out = temp_.File("s.json");
  const std::vector<std::string> args = Args(out, "64KiB");
  ASSERT_EQ(RunPocketune(args).exit_code, 0);
  const Json found = ReadJson(out + ".result");
  ASSERT_GE(found["finals"].size(), 2u) << "the last layers fit 64 KiB";
  const Json* best = &found["finals"][0];
  EXPECT_EQ((*best)["name"], "exact");
  for (const Json& finalist : found["finals"]) {
    if (finalist["val_loss"] < (*best)["val_loss"]) best = &finalist;
  }
  EXPECT_EQ(found["chosen"], (*best)["name"]);
  // Without them, the exact choice; what is known is not trained again.
  ASSERT_EQ(RunPocketune(With(args, "--final-steps", "0")).exit_code, 0);
  const Json exact = ReadJson(out + ".result");
  EXPECT_EQ(exact["chosen"], "exact");
  EXPECT_TRUE(exact["finals"].empty());
  EXPECT_EQ(exact["extra_memory_bytes"], exact["exact_extra_memory_bytes"]);
  EXPECT_EQ(exact["trained_now"], 0);
}

TEST_F(SearchCommandTest, RefusesWhatCannotBe) {
  const std::string out = temp_.File("s.json");
  const auto expect = [&](const std::vector<std::string>& args, int exit_code) {
    SCOPED_TRACE(testing::PrintToString(args));
    const CommandResult result = RunPocketune(args);
    EXPECT_EQ(result.exit_code, exit_code);
    ExpectOneLine(result.err);
    EXPECT_FALSE(std::filesystem::exists(out));
  };
  expect(Args(out, "1"), 7);
  expect(Args(out, "many"), 2);
  expect(With(Args(out), "--memory", "1GiB"), 2);
  expect(With(Args(out), "--model", "no-such-model"), 2);
  expect(With(Args(out), "--data", temp_.File("nowhere")), 4);
  expect(With(Args(out), "--step-ms", "0.00001"), 7);
  expect(With(Args(temp_.File("none/s.json")), "--seed", "1"), 6);
  ASSERT_EQ(RunPocketune(Args(temp_.File("t.json"))).exit_code, 0);
  expect(With(Args(temp_.File("t.json")), "--seed", "7"), 2);
}

}  // namespace
}  // namespace pocketune::test
