// What a person's data become on the command line, from training to evaluation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// Grey pictures of a brightness of their own for each class, in noise.
void WriteClass(const std::string& folder, int brightness, int pictures) {
  for (int i = 0; i < pictures; ++i) {
    data::Image image;
    image.Reset(16, 16, 1);
    image.pixels = data::Noise(image.pixels.size(), uint64_t(100 * brightness + i));
    for (uint8_t& pixel : image.pixels) pixel = uint8_t(brightness + pixel / 16);
    data::WriteFile(folder + "/" + std::to_string(i) + ".png", data::EncodePng(image));
  }
}

class DataCommandTest : public ::testing::Test {
 protected:
  std::string File(const std::string& name) const { return temp_.File(name); }
  CommandResult Train(const std::string& data, const std::string& out,
                      std::vector<std::string> more = {}) const {
    std::vector<std::string> args = {
        "train", "--model",  "mlp",      "--resolution", "16",     "--batch",
        "4",     "--epochs", "3",        "--lr",         "0.02",   "--threads",
        "1",     "--data",   File(data), "--out",        File(out)};
    args.insert(args.end(), more.begin(), more.end());
    return RunPocketune(args);
  }
  double AccuracyOf(const std::string& run, std::vector<std::string> more = {}) const {
    std::vector<std::string> args = {"eval", "--checkpoint", File(run), "--json", "-"};
    args.insert(args.end(), more.begin(), more.end());
    const CommandResult result = RunPocketune(args);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    return json.is_object() ? json.value("accuracy", -1.0) : -1;
  }

  TempFolder temp_;
};

TEST_F(DataCommandTest, TrainingPrintsTheClassesAndTheirPicturesFirst) {
  WriteClass(File("data/Train/blue"), 20, 6);
  WriteClass(File("data/Train/red"), 220, 6);
  WriteClass(File("data/Test/red"), 220, 2);
  WriteClass(File("data/Test/blue"), 20, 3);
  const CommandResult result = Train("data", "run", {"--val-fraction", "0"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nclasses     blue 6/0/3, red 6/0/2 (train/val/test)\n"));
  EXPECT_THAT(result.out, HasSubstr("test accuracy 100.0 % of 5 pictures"));
}

TEST_F(DataCommandTest, ARunEvaluatesItsDataWhateverBytesTheNamesHave) {
  WriteClass(File("jos\xe9/caf\xe9"), 20, 10);
  WriteClass(File("jos\xe9/tea"), 220, 10);
  const CommandResult result = Train("jos\xe9", "run");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("caf\\xE9 "));
  EXPECT_EQ(AccuracyOf("run"), 1.0);
  EXPECT_EQ(Train("jos\xe9", "run", {"--resume"}).exit_code, 0);
}

TEST_F(DataCommandTest, EvaluationMatchesClassesByName) {
  // "9" and "10" by value; with a third class the data of another day come in another order.
  WriteClass(File("data/9"), 20, 10);
  WriteClass(File("data/10"), 220, 10);
  ASSERT_EQ(Train("data", "run").exit_code, 0);
  WriteClass(File("list/img"), 220, 10);
  std::string list = "Image;Class\n";
  for (int i = 0; i < 10; ++i) list += "img/" + std::to_string(i) + ".png;10 \n";
  data::WriteFile(File("list/labels.csv"), list);
  EXPECT_EQ(AccuracyOf("run", {"--data", File("list")}), 1.0);

  WriteClass(File("more/9"), 20, 10);
  WriteClass(File("more/10"), 220, 10);
  WriteClass(File("more/cat"), 120, 10);
  const CommandResult result =
      RunPocketune({"eval", "--checkpoint", File("run"), "--data", File("more")});
  EXPECT_EQ(result.exit_code, 4);
  ExpectOneLine(result.err);
  EXPECT_THAT(result.err,
              HasSubstr("a class that was not learned (got \"cat\", want of the classes 9, 10)"));
}

TEST_F(DataCommandTest, WhatCannotBeReadEndsWithItsReason) {
  WriteClass(File("data/photos/blue"), 20, 3);
  WriteClass(File("data/photos/red"), 220, 3);
  const CommandResult wrapped = Train("data", "run");
  EXPECT_EQ(wrapped.exit_code, 4);
  ExpectOneLine(wrapped.err);
  EXPECT_THAT(wrapped.err, HasSubstr("want blue, red, which are in " + File("data/photos")));
  data::WriteFile(File("data/list.csv"), std::string("photos/blue/0.png,blue\n"));
  const CommandResult list = Train("data", "run");
  EXPECT_EQ(list.exit_code, 4);
  ExpectOneLine(list.err);
  EXPECT_THAT(list.err, HasSubstr("list.csv: looks like a list of pictures and is none"));
  EXPECT_FALSE(std::filesystem::exists(File("run")));
}

}  // namespace
}  // namespace pocketune::test
