// Where a run or a search may be written: never over the files of somebody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "tests/apps/cli/cli_test_util.h"
#include "tests/support/test_name.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using Args = std::vector<std::string>;
namespace fs = std::filesystem;

class OutFolderTest : public ::testing::Test {
 protected:
  OutFolderTest() { WriteIdxFolder(File("data")); }

  std::string File(const std::string& name) const { return temp_.File(name); }
  void Write(const std::string& name) const {
    fs::create_directories(fs::path(File(name)).parent_path());
    WriteBytes(File(name), {'m', 'i', 'n', 'e'});
  }
  Args Train() const { return TrainArgs(File("data"), File("out")); }
  Args Search() const {
    return {"search", "--model", "small-cnn",   "--data",        File("data"), "--extra-memory",
            "4KiB",   "--batch", "4",           "--trial-steps", "2",          "--final-steps",
            "0",      "--out",   File("s.json")};
  }
  void ExpectRefused(const Args& args, const std::string& part) const {
    const auto before = FilesBelow(temp_.path());
    const CommandResult result = RunPocketune(args);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    ExpectOneLine(result.err);
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_TRUE(FilesBelow(temp_.path()) == before) << "files have changed";
  }

  TempFolder temp_;
};

class OthersFilesTest : public OutFolderTest,
                        public ::testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(OthersFilesTest, AreLeftAlone) {
  for (const std::string& name : GetParam()) Write("out/" + name);
  ExpectRefused(Train(), "other files in it");
  Args resume = Train();
  resume.push_back("--resume");
  ExpectRefused(resume, "other files in it");
}

INSTANTIATE_TEST_SUITE_P(Train, OthersFilesTest,
                         ::testing::Values(std::vector<std::string>{"report.html", "spec.json"},
                                           std::vector<std::string>{"report.html"},
                                           std::vector<std::string>{"plan.ptplan", "notes.txt"},
                                           std::vector<std::string>{"log.jsonl"},
                                           std::vector<std::string>{".profile"},
                                           std::vector<std::string>{"photos/a.jpg"},
                                           std::vector<std::string>{"lock", "thesis.tex"}),
                         [](const auto& info) {
                           return TestName(absl::StrJoin(info.param, " and "));
                         });

TEST_F(OutFolderTest, AnEmptyFolderWillDo) {
  fs::create_directories(File("out"));
  EXPECT_EQ(RunPocketune(Train()).exit_code, 0);
}

TEST_F(OutFolderTest, WhatFileManagersLeaveIsNobodys) {
  Write("out/.DS_Store");
  Write("out/Thumbs.db");
  EXPECT_EQ(RunPocketune(Train()).exit_code, 0);
}

TEST_F(OutFolderTest, ARunThatWasKilledWhileItBeganIsBegunAgain) {
  ASSERT_EQ(RunPocketune(Train()).exit_code, 0);
  for (const char* name : {"plan.ptplan", "checkpoint-a", "checkpoint-b", "checkpoint-best",
                           "log.jsonl", "report.html"}) {
    fs::remove(File("out/") + name);
  }
  Write("out/plan.ptplan.tmp");
  EXPECT_EQ(RunPocketune(Train()).exit_code, 0);
}

TEST_F(OutFolderTest, NotesBesideARunDoNotKeepItFromGoingOn) {
  ASSERT_EQ(RunPocketune(Train()).exit_code, 0);
  Write("out/notes.txt");
  EXPECT_EQ(RunPocketune({"train", "--resume", "--out", File("out")}).exit_code, 0);
  ExpectRefused(Train(), "--resume");
}

TEST_F(OutFolderTest, ASearchWritesOverNoSchemeOrPictureButItsOwn) {
  Write("s.json");
  ExpectRefused(Search(), "s.json: is there already");
  fs::remove(File("s.json"));
  Write("s.svg");
  ExpectRefused(Search(), "s.svg: is there already");
  fs::remove(File("s.svg"));
  Write("s.json.trials");
  ExpectRefused(Search(), "s.json.trials");
  fs::remove(File("s.json.trials"));
  fs::create_directories(File("s.json"));
  ExpectRefused(Search(), "s.json");
  fs::remove(File("s.json"));
  EXPECT_EQ(RunPocketune(Search()).exit_code, 0);
  EXPECT_EQ(RunPocketune(Search()).exit_code, 0) << "its own";
}

}  // namespace
}  // namespace pocketune::test
