// Plans that a command compiles for itself pass through the temporary folder, which others may
// write to as well.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

namespace fs = std::filesystem;

class TempFileTest : public testing::Test {
 protected:
  TempFileTest() { fs::create_directory(folder_); }

  // `pocketune` in a shell, behind a line of the shell's; $$ is the process that it becomes.
  std::vector<std::string> Shell(const std::string& before, const std::string& args) const {
    return {"sh", "-c",
            "export TMPDIR=" + folder_ + "; " + before +
                "; exec " POCKETUNE_BINARY_DIR "/bin/pocketune " + args};
  }

  TempFolder temp_;
  const std::string folder_ = temp_.File("tmp");
};

TEST_F(TempFileTest, IsNotHeldUpByWhoeverTakesANameThatCanBeGuessed) {
  const CommandResult result =
      Command(Shell("mkdir $TMPDIR/pocketune-$$.ptplan",
                    "eval --checkpoint small-cnn --weights " POCKETUNE_SOURCE_DIR
                    "/apps/examples/quickstart/small-cnn-fashion.safetensors --data " +
                        temp_.File("none")))
          .Wait();
  EXPECT_NE(result.exit_code, 6) << result.err;
  EXPECT_NE(result.err.find("none"), std::string::npos) << result.err;  // got as far as the data
}

TEST_F(TempFileTest, HasANameOfItsOwnThatNobodyElseMayRead) {
  std::set<std::string> names;
  for (int round = 0; round < 2; ++round) {
    Command command(Shell("true", "bench --model small-cnn --steps 100000 --threads 1"));
    std::string path;
    for (int tries = 0; path.empty() && tries < 600; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      for (const auto& entry : fs::directory_iterator(folder_)) {
        if (entry.path().extension() == ".ptplan") path = entry.path().string();
      }
    }
    ASSERT_FALSE(path.empty());
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    EXPECT_TRUE(names.insert(path).second) << path;
    command.Signal(SIGKILL);
    command.Wait();
    fs::remove(path);
  }
}

TEST_F(TempFileTest, IsAFailedWriteWhereTheFolderTakesNone) {
  const CommandResult result =
      Command(Shell("TMPDIR=/proc/self", "bench --model small-cnn --steps 1")).Wait();
  EXPECT_EQ(result.exit_code, 6) << result.err;
  ExpectOneLine(result.err);
}

}  // namespace
}  // namespace pocketune::test
