#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"
#include "tests/support/test_name.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;

using Args = std::vector<std::string>;

// A run and a picture to run commands on.
class OutputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    temp_ = new TempFolder;
    WriteIdxFolder(File("data"));
    data::WriteImageFolder(File("photos"), 2);
    data::WriteFile(File("graph.ptir"),
                    "pocketune-ir 1\ngraph \"g\" stage=forward {\n  %0: f32[3] input \"x\"\n"
                    "  %1: f32[3] = relu(%0) fwd\n  return %1 \"y\"\n}\n");
    ASSERT_EQ(RunPocketune(TrainArgs(File("data"), File("run"))).exit_code, 0);
  }
  static void TearDownTestSuite() { delete temp_; }

  static std::string File(const std::string& name) { return temp_->File(name); }

 private:
  static inline TempFolder* temp_ = nullptr;
};

// Of a command, in whose arguments "@" stands for the test's folder.
class StandardOutputTest : public OutputTest, public ::testing::WithParamInterface<Args> {
 protected:
  static Args Here(Args args) {
    for (std::string& arg : args) {
      if (arg.rfind("@/", 0) == 0) arg = File(arg.substr(2));
    }
    return args;
  }
};

TEST_P(StandardOutputTest, OnAFullDiskIsAnErrorAndOneLine) {
  const CommandResult good = RunPocketune(Here(GetParam()));
  ASSERT_EQ(good.exit_code, 0) << good.err;
  ASSERT_FALSE(good.out.empty());
  const CommandResult full = RunPocketune(Here(GetParam()), {.stdout_path = "/dev/full"});
  EXPECT_EQ(full.exit_code, 6);
  ExpectOneLine(full.err);
  EXPECT_THAT(full.err, HasSubstr("standard output: cannot be written: No space left on device"));
}

TEST_P(StandardOutputTest, ThatNobodyReadsToItsEndIsNone) {
  // The reader is gone before anything is written.
  std::string line;
  for (const std::string& arg : Pocketune(Here(GetParam()))) line += "'" + arg + "' ";
  const CommandResult result =
      Command({"bash", "-c", "{ sleep 0.2; " + line + "; echo $? >&2; } | true"}).Wait();
  EXPECT_EQ(result.err, "0\n");
}

INSTANTIATE_TEST_SUITE_P(
    Commands, StandardOutputTest,
    ::testing::Values(Args{"--help"}, Args{"--version"}, Args{"infer", "--help"}, Args{"models"},
                      Args{"inspect", "@/run"},
                      Args{"compile", "--model", "small-cnn", "--out", "@/plan"},
                      Args{"eval", "--checkpoint", "@/run"},
                      Args{"infer", "--checkpoint", "@/run", "@/photos/ant/000.jpg"},
                      Args{"export", "--checkpoint", "@/run", "--out", "@/w"},
                      Args{"ir", "@/graph.ptir"}, Args{"ir", "--list"},
                      Args{"bench", "--model", "small-cnn", "--batch", "2", "--steps", "2"}),
    [](const auto& info) {
      std::string text = info.param[0];
      if (info.param.size() > 1) text += " " + info.param[1];
      return TestName(text);
    });

TEST_F(OutputTest, AFailedTrainingLogIsSaidButTheRunIsDone) {
  const CommandResult full =
      RunPocketune(TrainArgs(File("data"), File("logged")), {.stdout_path = "/dev/full"});
  EXPECT_EQ(full.exit_code, 0);
  ExpectOneLine(full.err);
  EXPECT_THAT(full.err, HasSubstr("standard output: cannot be written"));
  EXPECT_EQ(RunPocketune({"eval", "--checkpoint", File("logged")}).exit_code, 0);
}

TEST_F(OutputTest, TheErrorOfACommandComesBeforeThatOfItsOutput) {
  const CommandResult result =
      RunPocketune({"inspect", File("none.ptplan")}, {.stdout_path = "/dev/full"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.exit_code, 6);
  ExpectOneLine(result.err);
}

}  // namespace
}  // namespace pocketune::test
