// A plan that was compiled for a budget trains in a process that cannot have more: in a control
// group with that limit, or where control groups are refused, under a limit on private memory.
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
  // Opens the plan and takes three steps, in a process of its own with room for its inputs.
  CommandResult Train(const CommandOptions& options) const {
    return RunPocketune({cli::kMeasureCommand, folder_.File("plan"), "1", "auto", "3", "1573000"},
                        options);
  }

  CommandResult TrainWithin(int64_t bytes, const MemoryGroup* group) const {
    CommandOptions options;
    if (group != nullptr) {
      EXPECT_TRUE(group->SetLimit(bytes));
      options.cgroup = group->folder();
    } else {
      options.max_private_bytes = bytes;
    }
    return Train(options);
  }

  TempFolder folder_;
};

TEST_F(MemoryLimitTest, APlanTrainsWithItsBudgetAndNoMore) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  constexpr int64_t kBudget = 28 * kMiB;
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
  int64_t baseline = 0, peak = 0;
  ASSERT_EQ(std::sscanf(free.out.c_str(), "%ld %ld", &baseline, &peak), 2) << free.out;
  EXPECT_LE(peak, kBudget);

  // What the process has before it opens the plan comes on top. A group that lets a process have
  // far more than its limit is none.
  const MemoryGroup group;
  const bool limits =
      !group.folder().empty() && TrainWithin(baseline + kMiB, &group).exit_code != 0;
  const MemoryGroup* with = limits ? &group : nullptr;
  std::printf("limit: %s\n", limits ? "a memory control group" : "RLIMIT_DATA, no control group");
  EXPECT_NE(TrainWithin(baseline + kBudget / 4, with).exit_code, 0);
  const CommandResult trained = TrainWithin(baseline + kBudget, with);
  EXPECT_EQ(trained.exit_code, 0) << trained.err << trained.out << " signal " << trained.signal;
}

}  // namespace
}  // namespace pocketune::test
