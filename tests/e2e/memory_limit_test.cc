// A plan that was compiled for a budget trains in a process that cannot have more than the budget
// and what it had before: in a control group where the machine grants one, and under a limit on
// private memory, which needs nobody's leave.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/cli/measure.h"
#include "tests/support/run_command.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {
namespace {

constexpr int64_t kMiB = 1 << 20;

// A memory control group of version 1 or 2 below the mounts' roots; gone at the end.
class MemoryGroup {
 public:
  MemoryGroup() {
    const std::string name = "/pocketune-test-" + std::to_string(getpid());
    for (const auto& [root, file] : {std::pair("/sys/fs/cgroup/memory", "/memory.limit_in_bytes"),
                                     std::pair("/sys/fs/cgroup", "/memory.max")}) {
      const std::string folder = root + name;
      if (mkdir(folder.c_str(), 0755) != 0) continue;
      folder_ = folder;
      limit_file_ = folder + file;
      if (SetLimit(1024 * kMiB)) return;
      Remove();
    }
  }
  ~MemoryGroup() { Remove(); }
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  const std::string& folder() const { return folder_; }  // empty: refused
  bool SetLimit(int64_t bytes) const {
    if (!std::filesystem::exists(limit_file_)) return false;
    std::ofstream file(limit_file_);
    file << bytes;
    file.close();
    return file.good();
  }

 private:
  void Remove() {
    if (!folder_.empty()) rmdir(folder_.c_str());
    folder_.clear();
  }

  std::string folder_;
  std::string limit_file_;
};

class MemoryLimitTest : public ::testing::Test {
 protected:
  static constexpr int64_t kBudget = 28 * kMiB;

  void SetUp() override {
#ifdef PT_SANITIZED
    GTEST_SKIP() << "sanitizers take memory of their own";
#endif
    const CommandResult compiled = RunPocketune({"compile",
                                                 "--model",
                                                 "mobilenet_v2",
                                                 "--width",
                                                 "0.35",
                                                 "--resolution",
                                                 "128",
                                                 "--classes",
                                                 "10",
                                                 "--batch",
                                                 "8",
                                                 "--batch-norm",
                                                 "frozen",
                                                 "--threads",
                                                 "1",
                                                 "--memory",
                                                 std::to_string(kBudget),
                                                 "--out",
                                                 folder_.File("plan"),
                                                 "--json",
                                                 "-"});
    ASSERT_EQ(compiled.exit_code, 0) << compiled.err;
    const nlohmann::json json = nlohmann::json::parse(compiled.out, nullptr, false);
    EXPECT_LE(json["predicted_peak_bytes"], kBudget);
    EXPECT_GT(json["memory"]["fastest_peak_bytes"], kBudget);
    const CommandResult free = Train({});
    ASSERT_EQ(free.exit_code, 0) << free.err << free.out;
    ASSERT_EQ(std::sscanf(free.out.c_str(), "%ld %ld", &baseline_, &peak_), 2) << free.out;
    EXPECT_LE(peak_, kBudget);
  }

  // Opens the plan and takes three steps, in a process of its own with room for its inputs.
  CommandResult Train(const CommandOptions& options) const {
    return RunPocketune({cli::kMeasureCommand, folder_.File("plan"), "1", "auto", "3", "1573000"},
                        options);
  }

  CommandResult TrainIn(const MemoryGroup& group, int64_t bytes) const {
    EXPECT_TRUE(group.SetLimit(bytes));
    return Train({.cgroup = group.folder()});
  }

  TempFolder folder_;
  int64_t baseline_ = 0;  // what the process has before it opens the plan
  int64_t peak_ = 0;      // what it has more at most
};

TEST_F(MemoryLimitTest, APlanTrainsInAControlGroupOfItsBudgetAndInNoneOfLess) {
  const MemoryGroup group;
  // A group that lets a process have far more than its limit is none.
  if (group.folder().empty() || TrainIn(group, kMiB).exit_code == 0) {
    GTEST_SKIP() << "this machine grants no memory control group: the limit on private memory, "
                    "which the other test sets, stands in";
  }
  RecordProperty("control_group", group.folder());
  // Pages of files, some of the baseline, can be taken back from a group.
  EXPECT_NE(TrainIn(group, peak_ * 3 / 4).exit_code, 0);
  const CommandResult trained = TrainIn(group, baseline_ + kBudget);
  EXPECT_EQ(trained.exit_code, 0) << trained.err << trained.out << " signal " << trained.signal;
}

TEST_F(MemoryLimitTest, APlanTrainsWithPrivateMemoryOfItsBudgetAndNotWithLess) {
  EXPECT_NE(Train({.max_private_bytes = peak_ * 3 / 4}).exit_code, 0);
  const CommandResult trained = Train({.max_private_bytes = baseline_ + kBudget});
  EXPECT_EQ(trained.exit_code, 0) << trained.err << trained.out << " signal " << trained.signal;
}

}  // namespace
}  // namespace pocketune::test
