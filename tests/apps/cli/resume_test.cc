// A run that is gone on with: what may change, what may not, and where its pictures are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "apps/train/resume_flags.h"
#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Args = std::vector<std::string>;
using Json = nlohmann::json;
namespace fs = std::filesystem;

class ResumeTest : public ::testing::Test {
 protected:
  ResumeTest() {
    WriteIdxFolder(File("data"));
    const CommandResult trained = RunPocketune(Begun());
    EXPECT_EQ(trained.exit_code, 0) << trained.err;
  }

  std::string File(const std::string& name) const { return temp_.File(name); }
  Args Begun() const { return TrainArgs(File("data"), File("run")); }
  Args Resume(const Args& more = {}) const {
    Args args = {"train", "--resume", "--out", File("run"), "--threads", "2"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
  Json Spec() const {
    std::ifstream in(File("run/spec.json"));
    return Json::parse(in);
  }
  void WriteSpec(const Json& json) const {
    const std::string text = json.dump();
    WriteBytes(File("run/spec.json"), {text.begin(), text.end()});
  }
  size_t Epochs() const {
    const std::vector<uint8_t> log = ReadBytes(File("run/log.jsonl"));
    return std::count(log.begin(), log.end(), '\n');
  }
  void ExpectRefused(int code, const Args& args, const std::string& part) const {
    SCOPED_TRACE(::testing::PrintToString(args));
    const auto before = FilesBelow(File("run"));
    const CommandResult result = RunPocketune(args);
    EXPECT_EQ(result.exit_code, code) << result.err;
    ExpectOneLine(result.err);
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_TRUE(FilesBelow(File("run")) == before) << "files have changed";
  }

  TempFolder temp_;
};

TEST_F(ResumeTest, MoreEpochsAndAnotherRateAreTrained) {
  ASSERT_EQ(Epochs(), 2u);
  const CommandResult more = RunPocketune(Resume({"--epochs", "5", "--lr", "0.02"}));
  EXPECT_EQ(more.exit_code, 0) << more.err;
  EXPECT_THAT(more.out, HasSubstr("--epochs 5 (was 2)"));
  EXPECT_THAT(more.out, HasSubstr("--lr 0.02 (was 0.1)"));
  EXPECT_THAT(more.out, HasSubstr("epoch 5/5"));
  EXPECT_EQ(Epochs(), 5u);
  EXPECT_EQ(Spec()["train"]["epochs"], 5);
  EXPECT_EQ(Spec()["train"]["lr"], 0.02);
  // And stays so: another --resume has nothing left to do.
  const CommandResult again = RunPocketune(Resume());
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(Epochs(), 5u);
}

TEST_F(ResumeTest, FlagsThatCannotBeObeyedAreRefused) {
  const std::vector<std::pair<std::string, std::string>> other = {{"--model", "resnet8"},
                                                                  {"--optimizer", "sgd"},
                                                                  {"--momentum", "0.5"},
                                                                  {"--weight-decay", "0.1"},
                                                                  {"--seed", "2"},
                                                                  {"--dropout", "0.5"},
                                                                  {"--val-fraction", "0.3"},
                                                                  {"--normalize", "mnist"},
                                                                  {"--classes", "7"},
                                                                  {"--resolution", "32"},
                                                                  {"--label-smoothing", "0.1"},
                                                                  {"--micro-batch", "2"},
                                                                  {"--batch-norm", "frozen"},
                                                                  {"--max-train", "5"},
                                                                  {"--flip", "0.5"},
                                                                  {"--lr-group", "stem*=0.5"},
                                                                  {"--clip-norm", "1"},
                                                                  {"--saved-activations", "8"},
                                                                  {"--weights", File("w.st")},
                                                                  {"--cache", "1MiB"},
                                                                  {"--perturb", "invert"},
                                                                  {"--class-names", "a,b,c"},
                                                                  {"--width", "0.5"},
                                                                  {"--input-channels", "3"},
                                                                  {"--crop-padding", "1"},
                                                                  {"--tuning", File("t")}};
  for (const auto& [flag, value] : other) ExpectRefused(2, Resume({flag, value}), flag + ": ");
}

TEST_F(ResumeTest, TheSameCommandWithResumeGoesOn) {
  Args args = With(With(Begun(), "--batch", "64"), "--out", File("other"));
  ASSERT_EQ(RunPocketune(args).exit_code, 0);
  args.push_back("--resume");
  const CommandResult again = RunPocketune(args);
  EXPECT_EQ(again.exit_code, 0) << again.err;
}

TEST_F(ResumeTest, EveryFlagOfTrainHasARule) {
  const CommandResult help = RunPocketune({"train", "--help"});
  ASSERT_EQ(help.exit_code, 0);
  std::istringstream lines(help.out);
  std::set<std::string> flags;
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find("--");
    if (line.rfind("  -", 0) != 0 || at > 8) continue;  // of the examples, or within a text
    flags.insert(line.substr(at, line.find_first_of(" ,\n", at) - at));
  }
  EXPECT_GE(flags.size(), 50u);
  for (const std::string& flag : flags) EXPECT_NE(FindResumeRule(flag), nullptr) << flag;
}

TEST_F(ResumeTest, ItsDataIsFoundFromAnyFolder) {
  const std::string here = fs::current_path();
  fs::current_path(temp_.path());
  const CommandResult trained = RunPocketune(TrainArgs("data", "relative"));
  fs::create_directories("elsewhere");
  fs::current_path("elsewhere");
  const CommandResult eval = RunPocketune({"eval", "--checkpoint", "../relative"});
  const CommandResult resumed =
      RunPocketune({"train", "--resume", "--out", "../relative", "--epochs", "3"});
  fs::current_path(here);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
}

TEST_F(ResumeTest, ARunThatKnowsARelativePathLooksBesideItself) {
  Json spec = Spec();
  spec["data"]["path"] = "data";
  WriteSpec(spec);
  const CommandResult eval = RunPocketune({"eval", "--checkpoint", File("run")});
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  const CommandResult resumed = RunPocketune(Resume());
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
}

TEST_F(ResumeTest, MovedPicturesAreTakenAndRemembered) {
  fs::rename(File("data"), File("moved"));
  ExpectRefused(4, Resume(), "say where they are with --data");
  ExpectRefused(4, {"eval", "--checkpoint", File("run")}, "say where they are with --data");
  const CommandResult resumed = RunPocketune(Resume({"--data", File("moved")}));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(Spec()["data"]["path"], File("moved"));
  EXPECT_EQ(RunPocketune({"eval", "--checkpoint", File("run")}).exit_code, 0);
}

TEST_F(ResumeTest, OtherPicturesAreRefusedWhereverTheyAre) {
  WriteIdxFolder(File("others"), 54);
  ExpectRefused(4, Resume({"--data", File("others")}), "not those that");
  ExpectRefused(4, Resume({"--data", File("nowhere")}), "nowhere");
}

// At such rates numbers that are not finite come up in one place or another.
TEST_F(ResumeTest, ARunThatDivergesAnswersWithNumbersAndGoesOn) {
  for (const char* rate : {"100", "1000"}) {
    const std::string out = File("diverged" + std::string(rate));
    Args args = With(With(TrainArgs(File("data"), out), "--model", "mlp"), "--lr", rate);
    const CommandResult trained = RunPocketune(args);
    EXPECT_TRUE(trained.exit_code == 0 || trained.exit_code == 8) << trained.err;
    const CommandResult eval = RunPocketune({"eval", "--checkpoint", out});
    EXPECT_EQ(eval.exit_code, 0) << eval.err;
    if (trained.exit_code == 8 && !eval.err.empty()) {  // no step was good
      EXPECT_THAT(eval.err, HasSubstr("its weights are random"));
    }
    EXPECT_THAT(eval.out, Not(HasSubstr("nan")));
    args = {"train", "--resume", "--out", out, "--lr", "0.01", "--epochs", "3"};
    const CommandResult resumed = RunPocketune(args);
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    const CommandResult after = RunPocketune({"eval", "--checkpoint", out});
    EXPECT_EQ(after.exit_code, 0) << after.err;
    EXPECT_THAT(after.out, Not(HasSubstr("nan")));
  }
}

}  // namespace
}  // namespace pocketune::test
