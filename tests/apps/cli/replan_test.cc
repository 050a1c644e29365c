// Runs that go on under another plan: batch, scheme, threads, memory, another release.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/plan/plan_format.h"
#include "pocketune/checkpoint.h"
#include "tests/apps/cli/cli_test_util.h"
#include "tests/support/old_checkpoint.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Args = std::vector<std::string>;
using Json = nlohmann::json;
using Values = std::map<std::string, std::vector<float>>;
namespace fs = std::filesystem;

class ReplanTest : public ::testing::Test {
 protected:
  ReplanTest() {
    WriteIdxFolder(File("data"));
    const CommandResult trained =
        RunPocketune(With(TrainArgs(File("data"), File("run")), "--epochs", "1"));
    EXPECT_EQ(trained.exit_code, 0) << trained.err;
  }

  std::string File(const std::string& name) const { return temp_.File(name); }
  CommandResult Resume(const Args& more = {}) const {
    Args args = {"train", "--resume", "--out", File("run")};
    args.insert(args.end(), more.begin(), more.end());
    return RunPocketune(args);
  }
  Json Spec() const {
    std::ifstream in(File("run/spec.json"));
    return Json::parse(in);
  }
  CheckpointContents Newest() const {
    Result<CheckpointContents> contents = CheckpointStore(File("run")).ReadNewest();
    EXPECT_TRUE(contents.ok()) << contents.status().message();
    return contents.ok() ? std::move(contents).value() : CheckpointContents();
  }
  Values Learned() const {
    Values values;
    for (SavedValues& tensor : Newest().tensors) {
      if (!tensor.state) values[tensor.name] = std::move(tensor.values);
    }
    return values;
  }
  Json State() const { return Json::parse(Newest().user); }
  double Loss() const {
    const CommandResult eval = RunPocketune({"eval", "--checkpoint", File("run"), "--json", "-"});
    EXPECT_EQ(eval.exit_code, 0) << eval.err;
    return eval.exit_code == 0 ? Json::parse(eval.out)["loss"].get<double>() : -1;
  }
  // As a release before checkpoints belonged to models left it.
  void MakeOld() const {
    for (const char* name : {"checkpoint-a", "checkpoint-b", "checkpoint-best"}) {
      const std::string path = File("run/" + std::string(name));
      if (!fs::exists(path)) continue;
      const Result<uint64_t> plan = Session::PlanIdentity(File("run/plan.ptplan").c_str());
      ASSERT_TRUE(plan.ok());
      WriteAsVersion1(path, path, plan.value());
    }
  }

  TempFolder temp_;
};

TEST_F(ReplanTest, AnotherBatchGoesOnInTheSamePictures) {
  const double before = Loss();
  EXPECT_EQ(State()["step"], 11);  // 47 pictures in batches of 4
  const CommandResult result = Resume({"--batch", "8", "--epochs", "2", "--keep", "last"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("--batch 8 (was 4)"));
  EXPECT_THAT(result.out, Not(HasSubstr("start at zero")));
  EXPECT_EQ(State()["step"], 10);
  EXPECT_EQ(State()["batch"], 8);
  EXPECT_EQ(Spec()["model"]["batch"], 8);
  EXPECT_NE(Loss(), before);
  // It holds from there on.
  const CommandResult more = Resume({"--epochs", "3"});
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_THAT(more.out, Not(HasSubstr("compiling   the plan anew")));
  EXPECT_EQ(State()["step"], 15);
}

TEST_F(ReplanTest, ARunOfManyStepsKeepsItsNumberOfPictures) {
  ASSERT_EQ(Resume({"--steps", "16"}).exit_code, 0);
  const CommandResult result = Resume({"--batch", "2"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Spec()["train"]["steps"], 32);
}

TEST_F(ReplanTest, LayersThatNoLongerLearnKeepWhatTheyHaveLearned) {
  const Values full = Learned();
  const CommandResult result = Resume({"--scheme", "head", "--epochs", "2", "--keep", "last"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("--scheme head (was full)"));
  EXPECT_THAT(result.out, HasSubstr("states of the optimizer are not needed any more"));
  const Values head = Learned();
  ASSERT_EQ(head.size(), full.size());
  int same = 0;
  for (const auto& [name, values] : head) same += values == full.at(name);
  EXPECT_EQ(same, static_cast<int>(full.size()) - 2) << "all but the classifier";
  // What is exported is what was learned, and --base what was there before.
  const CommandResult exported =
      RunPocketune({"export", "--checkpoint", File("run"), "--out", File("e.st"), "--json", "-"});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_EQ(Json::parse(exported.out)["learned_tensors"], full.size());
  // And learns again.
  const CommandResult again = Resume({"--scheme", "full", "--epochs", "3"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("states of the optimizer start at zero"));
  int moved = 0;
  for (const auto& [name, values] : Learned()) moved += values != head.at(name);
  EXPECT_EQ(moved, static_cast<int>(full.size()));
}

TEST_F(ReplanTest, ThreadsAndMemoryThatAreAskedForAreObeyed) {
  const CommandResult threads = Resume({"--threads", "1", "--epochs", "2"});
  ASSERT_EQ(threads.exit_code, 0) << threads.err;
  EXPECT_THAT(threads.out, HasSubstr("--threads 1 (was 2)"));
  const CommandResult memory = Resume({"--memory", "64MiB", "--epochs", "3"});
  ASSERT_EQ(memory.exit_code, 0) << memory.err;
  EXPECT_EQ(Spec()["train"]["memory_bytes"], 64 << 20);
  const CommandResult none = Resume({"--memory", "1KiB"});
  EXPECT_EQ(none.exit_code, 7);
  ExpectOneLine(none.err);
}

TEST_F(ReplanTest, AKillBetweenSpecAndPlanLosesNothing) {
  const auto before = FilesBelow(File("run"));
  ASSERT_EQ(Resume({"--batch", "8", "--epochs", "2"}).exit_code, 0);
  const Values straight = Learned();
  // The spec is there already, plan and checkpoints are the old ones; then the plan too.
  const auto after = FilesBelow(File("run"));
  for (const std::vector<std::string>& written :
       {std::vector<std::string>{"spec.json"}, {"spec.json", "plan.ptplan"}}) {
    fs::remove_all(File("run"));
    fs::create_directories(File("run"));
    for (const auto& [path, bytes] : before) WriteBytes(path, bytes);
    for (const std::string& name : written) {
      WriteBytes(File("run/" + name), after.at(File("run/" + name)));
    }
    const CommandResult result = Resume();
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(State()["step"], 10);
    EXPECT_TRUE(Learned() == straight);
  }
}

TEST_F(ReplanTest, ARunOfAnOlderReleaseGoesOn) {
  const double before = Loss();
  MakeOld();
  EXPECT_EQ(Newest().version, 1u);
  EXPECT_EQ(Loss(), before);
  const CommandResult same = Resume({"--epochs", "2"});
  ASSERT_EQ(same.exit_code, 0) << same.err;
  EXPECT_EQ(Newest().version, 2u);
  MakeOld();
  const CommandResult other = Resume({"--epochs", "3", "--scheme", "head", "--batch", "8"});
  ASSERT_EQ(other.exit_code, 0) << other.err;
  EXPECT_EQ(State()["step"], 15);
  EXPECT_EQ(Newest().version, 2u);
}

// The header of a version that nobody reads any more, under right checksums.
TEST_F(ReplanTest, APlanOfAVersionThatIsNotReadIsCompiledAnew) {
  const Values before = Learned();
  std::vector<uint8_t> plan = ReadBytes(File("run/plan.ptplan"));
  PlanHeader header;
  std::memcpy(&header, plan.data(), sizeof(header));
  header.version = 0;
  header.header_checksum = Checksum(&header, offsetof(PlanHeader, header_checksum));
  std::memcpy(plan.data(), &header, sizeof(header));
  WriteBytes(File("run/plan.ptplan"), plan);
  MakeOld();
  const CommandResult result = Resume();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("compiling   the plan anew"));
  const Values after = Learned();
  for (const auto& [name, values] : before) EXPECT_TRUE(after.at(name) == values) << name;
  EXPECT_EQ(RunPocketune({"eval", "--checkpoint", File("run")}).exit_code, 0);
}

TEST_F(ReplanTest, ACheckpointOfAnotherModelIsRefused) {
  const Args other = With(TrainArgs(File("data"), File("other")), "--model", "mlp");
  ASSERT_EQ(RunPocketune(With(other, "--epochs", "1")).exit_code, 0);
  for (const char* name : {"checkpoint-a", "checkpoint-b"}) {
    const fs::path from = File("other/" + std::string(name));
    if (fs::exists(from)) {
      fs::copy_file(from, File("run/" + std::string(name)), fs::copy_options::overwrite_existing);
    }
  }
  const CommandResult result = Resume();
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err, HasSubstr("another model"));
}

}  // namespace
}  // namespace pocketune::test
