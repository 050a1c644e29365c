// Runs that are killed at any moment and resumed end as if nothing had happened.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/rng.h"
#include "engine/checkpoint/checkpoint_file.h"
#include "tests/support/picture_sets.h"
#include "tests/support/run_command.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class KillTest : public ::testing::Test {
 protected:
  KillTest() { WriteIdxFolder(temp_.File("data")); }

  using Args = std::vector<std::string>;

  // Resumes, or starts where there is nothing yet.
  Args TrainArgs(const std::string& folder, int threads, const char* epochs,
                 const Args& more = {"--flip", "0.5"}) const {
    Args args = {"train",
                 "--model",
                 "small-cnn",
                 "--data",
                 temp_.File("data"),
                 "--batch",
                 "4",
                 "--epochs",
                 epochs,
                 "--dropout",
                 "0.2",
                 "--checkpoint-every",
                 "3",
                 "--threads",
                 std::to_string(threads),
                 "--quiet",
                 "--resume",
                 "--out",
                 temp_.File(folder)};
    args.insert(args.end(), more.begin(), more.end());
    return Pocketune(args);
  }

  // Of the newest checkpoint; 0 where there is none.
  uint64_t Generation(const std::string& folder, std::string* path = nullptr) const {
    uint64_t newest = 0;
    for (const char* name : {"/checkpoint-a", "/checkpoint-b"}) {
      const std::string file = temp_.File(folder) + name;
      Result<CheckpointHeader> header = ReadCheckpointHeader(file.c_str());
      if (!header.ok() || header->generation <= newest) continue;
      newest = header->generation;
      if (path != nullptr) *path = file;
    }
    return newest;
  }

  std::vector<uint8_t> NewestCheckpoint(const std::string& folder) const {
    std::string path;
    Generation(folder, &path);
    return ReadBytes(path);
  }

  // Kills runs `kills` times in all; those that end are compared, and another begins.
  void KillAndCompare(int kills, const Args& whole_flags = {"--flip", "0.5"},
                      const Args& killed_flags = {"--flip", "0.5"});

  TempFolder temp_;
};

void KillTest::KillAndCompare(int kills, const Args& whole_flags, const Args& killed_flags) {
  const Clock::time_point begin = Clock::now();
  ASSERT_EQ(Command(TrainArgs("whole", 2, "4", whole_flags)).Wait().exit_code, 0);
  double window = std::chrono::duration<double>(Clock::now() - begin).count();
  const std::vector<uint8_t> want = NewestCheckpoint("whole");
  const std::vector<uint8_t> best = ReadBytes(temp_.File("whole/checkpoint-best"));

  const RandomStream random(1, "kills");
  int killed = 0, finished = 0;
  for (uint64_t start = 0; killed < kills || finished == 0; ++start) {
    const std::string folder = "run" + std::to_string(finished);
    // The plan is compiled for two threads, as that of the whole run; later starts take others.
    const bool begun = fs::exists(temp_.File(folder) + "/plan.ptplan");
    const int threads = begun ? 1 + static_cast<int>(start % 2) : 2;
    Command run(TrainArgs(folder, threads, "4", killed_flags));
    if (killed < kills) {
      const double moment = window * random.Uniform(start);
      std::this_thread::sleep_for(std::chrono::duration<double>(moment));
      run.Signal(SIGKILL);
    }
    const CommandResult result = run.Wait();
    killed += result.signal == SIGKILL;
    // The machine's load changes: most kills are to find a run at work.
    window *= result.signal == SIGKILL ? 1.05 : 0.8;
    if (result.signal == SIGKILL) continue;
    ASSERT_EQ(result.exit_code, 0) << result.err << " after " << killed << " kills";
    EXPECT_EQ(NewestCheckpoint(folder), want) << "after " << killed << " kills";
    EXPECT_EQ(ReadBytes(temp_.File(folder) + "/checkpoint-best"), best);
    EXPECT_FALSE(fs::exists(temp_.File(folder) + "/checkpoint-a.tmp"));
    EXPECT_FALSE(fs::exists(temp_.File(folder) + "/checkpoint-b.tmp"));
    ++finished;
  }
  RecordProperty("killed", killed);
  RecordProperty("finished", finished);
}

TEST_F(KillTest, TwentyKillsLeaveTheSameCheckpoint) { KillAndCompare(20); }

TEST_F(KillTest, KillsLeaveTheSameCheckpointWithAPrefixCache) {
  KillAndCompare(8, {"--scheme", "head", "--prefix-cache", "off"},
                 {"--scheme", "head", "--prefix-cache", temp_.File("rows")});
}

TEST_F(KillTest, SlowHundredKillsLeaveTheSameCheckpoint) { KillAndCompare(100); }

TEST_F(KillTest, ASignalSavesAndEndsWithItsCode) {
  std::string resumed_from = "starting anew";
  for (const auto& [signal, code] : {std::pair(SIGTERM, 143), {SIGINT, 130}, {SIGTERM, 143}}) {
    std::vector<std::string> args = TrainArgs("run", 2, "100000");
    std::erase(args, "--quiet");
    // Signals are caught once the loop runs, which shows by its second save.
    const uint64_t before = Generation("run");
    Command run(args);
    while (Generation("run") < before + 2) std::this_thread::yield();
    run.Signal(signal);
    const CommandResult result = run.Wait();
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_EQ(result.err.rfind("pocketune: stopped by a signal after step ", 0), 0u) << result.err;
    EXPECT_NE(result.out.find(resumed_from), std::string::npos) << result.out;
    const size_t step = result.err.find("after step ");
    resumed_from = result.err.substr(step, result.err.find(';') - step);
  }
}

}  // namespace
}  // namespace pocketune::test
