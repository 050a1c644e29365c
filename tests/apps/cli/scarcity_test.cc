// Where the system gives too few threads or too little memory, a command does with what there is or
// ends with one line and an exit code; it never hangs and no exception ends it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/apps/cli/cli_test_util.h"
#include "tests/support/sanitized.h"

namespace pocketune::test {
namespace {

// A control group, of version 1 or 2, that holds so many processes and threads at most; gone at the
// end.
class PidsGroup {
 public:
  PidsGroup() {
#if defined(__SANITIZE_THREAD__)
    return;  // ThreadSanitizer begins a thread before the program does anything
#endif
    // LeakSanitizer begins a process when the program ends, which the group would refuse.
    setenv("LSAN_OPTIONS", "detect_leaks=0", 1);
    const std::string name = "/pocketune-test-pids-" + std::to_string(getpid());
    for (const std::string root : {"/sys/fs/cgroup/pids", "/sys/fs/cgroup"}) {
      folder_ = root + name;
      if (mkdir(folder_.c_str(), 0755) != 0) continue;
      if (access((folder_ + "/pids.max").c_str(), W_OK) == 0 && SetMost(100)) return;
      rmdir(folder_.c_str());
    }
    folder_.clear();
  }
  ~PidsGroup() {
    unsetenv("LSAN_OPTIONS");
    if (!folder_.empty()) rmdir(folder_.c_str());
  }
  PidsGroup(const PidsGroup&) = delete;
  PidsGroup& operator=(const PidsGroup&) = delete;

  const std::string& folder() const { return folder_; }  // empty: refused
  bool SetMost(int pids) const {
    std::ofstream file(folder_ + "/pids.max");
    file << pids;
    file.close();
    return file.good();
  }

 private:
  std::string folder_;
};

class ScarcityTest : public testing::Test {
 protected:
  ScarcityTest() { WriteIdxFolder(data_); }

  // With `--quiet` errors alone are said.
  std::vector<std::string> Train(const std::string& out, int threads) const {
    std::vector<std::string> args = TrainArgs(data_, temp_.File(out));
    return With(std::move(args), "--threads", std::to_string(threads));
  }

  TempFolder temp_;
  const std::string data_ = temp_.File("data");
};

TEST_F(ScarcityTest, TrainsWithMoreThreadsThanAnyLimitOfOurs) {
  const CommandResult result = RunPocketune(Train("run", 66));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
}

TEST_F(ScarcityTest, DoesWithTheThreadsThatItsControlGroupLetsItHave) {
  const PidsGroup group;
  if (group.folder().empty()) {
    GTEST_SKIP() << "this machine grants no control group of processes: the unit tests of the "
                    "thread probe and of the loader stand in";
  }
  int trained = 0;
  for (int pids = 1; pids <= 10; ++pids) {
    SCOPED_TRACE(pids);
    ASSERT_TRUE(group.SetMost(pids));
    const std::string out = "run" + std::to_string(pids);
    const CommandResult result = RunPocketune(Train(out, 4), {.cgroup = group.folder()});
    EXPECT_EQ(result.signal, 0);
    // Below three there may be no process to measure with.
    EXPECT_TRUE(result.exit_code == 0 || (pids < 3 && result.exit_code == 9)) << result.err;
    // This thread, three more for steps, three that load, and a process that measures.
    EXPECT_EQ(result.err.find("--threads: the system starts too few") != std::string::npos,
              pids < 8)
        << result.err;
    trained += result.exit_code == 0 ? 1 : 0;
  }
  EXPECT_GE(trained, 8);
}

// What is compiled may be meant for another machine: no limit of this one changes a plan.
TEST_F(ScarcityTest, CompilesTheSamePlanWhateverThreadsItMayHave) {
  const auto compile = [&](const std::string& out, const CommandOptions& options) {
    const CommandResult result = RunPocketune({"compile", "--model", "small-cnn", "--classes", "3",
                                               "--threads", "7", "--out", temp_.File(out)},
                                              options);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return ReadBytes(temp_.File(out));
  };
  const PidsGroup group;
  if (group.folder().empty()) GTEST_SKIP() << "this machine grants no control group of processes";
  ASSERT_TRUE(group.SetMost(1));
  EXPECT_EQ(compile("few", {.cgroup = group.folder()}), compile("many", {}));
}

// From where the program itself can just be loaded to where there is enough.
TEST_F(ScarcityTest, EndsWithOneLineWhereMemoryRunsOutWhereverThatIs) {
#ifdef PT_SANITIZED
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  int short_of_memory = 0, trained = 0;
  for (int64_t kib = 2048; kib <= 96 << 10 && trained < 3; kib += kib / 6) {
    SCOPED_TRACE(kib);
    const CommandOptions limit = {.max_private_bytes = kib << 10};
    if (RunPocketune({"--version"}, limit).exit_code != 0) continue;
    const CommandResult result = RunPocketune(Train("run" + std::to_string(kib), 3), limit);
    EXPECT_EQ(result.signal, 0) << result.err;
    if (result.exit_code == 0) {
      ++trained;
      continue;
    }
    ++short_of_memory;
    EXPECT_EQ(result.exit_code, 9) << result.err;
    EXPECT_NE(result.err.find("memory"), std::string::npos) << result.err;
  }
  EXPECT_GT(short_of_memory, 0);
  EXPECT_EQ(trained, 3);
}

}  // namespace
}  // namespace pocketune::test
