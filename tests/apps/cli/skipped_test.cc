#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// 24 pictures a class and split, one of them bad: within the 5 % that are let pass.
class SkippedTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (const char* split : {"train", "val", "test"}) {
      data::WriteImageFolder(temp_.File("data/") + split, 24);
    }
    bad_ = temp_.File(std::string("data/") + GetParam() + "/bee/003.jpg");
    data::WriteFile(bad_, data::Bytes{});
  }

  std::string File(const std::string& name) const { return temp_.File(name); }

  static void ExpectTheBadOne(const Json& json, const std::string& bad) {
    EXPECT_EQ(json["skipped"], 1);
    ASSERT_EQ(json["skipped_pictures"].size(), 1u);
    EXPECT_THAT(json["skipped_pictures"][0].get<std::string>(), HasSubstr(bad + ": empty file"));
  }

  TempFolder temp_;
  std::string bad_;
};

TEST_P(SkippedTest, TrainNamesAndCountsABadPictureOfAnySplit) {
  std::vector<std::string> args = TrainArgs(File("data"), File("run"));
  args.insert(args.end(), {"--json", File("json")});
  const CommandResult result = RunPocketune(args);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("skipped: " + bad_));
  EXPECT_THAT(result.out, HasSubstr("1 bad picture left out"));
  const std::vector<uint8_t> json = ReadBytes(File("json"));
  ExpectTheBadOne(Json::parse(json.begin(), json.end()), bad_);
}

TEST_P(SkippedTest, EvalNamesAndCountsABadPictureOfAnySplit) {
  ASSERT_EQ(RunPocketune(TrainArgs(File("data"), File("run"))).exit_code, 0);
  const CommandResult result = RunPocketune(
      {"eval", "--checkpoint", File("run"), "--split", GetParam(), "--json", File("json")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("skipped: " + bad_));
  const std::vector<uint8_t> json = ReadBytes(File("json"));
  ExpectTheBadOne(Json::parse(json.begin(), json.end()), bad_);
}

INSTANTIATE_TEST_SUITE_P(Splits, SkippedTest, ::testing::Values("train", "val", "test"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pocketune::test
