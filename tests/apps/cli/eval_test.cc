// What `eval` judges, and what it says of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/cli/eval_test_util.h"

namespace pocketune::test {
namespace {

using Args = std::vector<std::string>;
using Json = nlohmann::json;
using testing::HasSubstr;

// A run that has learned ant, bee and cat, ten of each.
class EvalTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    temp_ = new TempFolder;
    ASSERT_TRUE(WriteSafetensors(File("w"), GreyTensors()).ok());
    for (int label = 0; label < kGreyClasses; ++label) {
      WriteGrey(File("photos/") + kGreyNames[label], label, 10);
    }
    const CommandResult trained = RunPocketune(TrainGrey(File("photos"), File("run")));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
  }
  static void TearDownTestSuite() { delete temp_; }

  static std::string File(const std::string& name) { return temp_->File(name); }

  // Steps so small that the weights stay.
  static Args TrainGrey(const std::string& data, const std::string& out) {
    return Plus({"train", "--model", "mlp", "--weights", File("w"), "--normalize", "zero_one",
                 "--lr", "1e-12", "--epochs", "1", "--batch", "4", "--data", data, "--out", out},
                GreyFlags());
  }

  static Json Eval(const Args& more) {
    const CommandResult result =
        RunPocketune(Plus({"eval", "--checkpoint", File("run"), "--json", "-"}, more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    return json.is_object() ? json : Json::object();
  }

  static void ExpectRefused(int code, const Args& more, const std::string& part) {
    SCOPED_TRACE(::testing::PrintToString(more));
    const CommandResult result =
        RunPocketune(Plus({"eval", "--checkpoint", File("run"), "--quiet"}, more));
    EXPECT_EQ(result.exit_code, code) << result.err;
    ExpectOneLine(result.err);
    EXPECT_THAT(result.err, HasSubstr(part));
  }

  static TempFolder* temp_;
};
TempFolder* EvalTest::temp_ = nullptr;

TEST_F(EvalTest, ARunsOwnPicturesAreItsTestSplitWhereverTheyLie) {
  const Json own = Eval({});
  EXPECT_EQ(own["samples"], 6);
  EXPECT_EQ(own["split"], "test");
  EXPECT_EQ(own["accuracy"], 1.0);
  const Json named = Eval({"--data", File("photos")});
  EXPECT_EQ(named["samples"], 6);
  EXPECT_EQ(Eval({"--split", "val"})["samples"], 3);
  EXPECT_EQ(Eval({"--split", "train"})["samples"], 21);
  std::filesystem::copy(File("photos"), File("moved"), std::filesystem::copy_options::recursive);
  const Json moved = Eval({"--data", File("moved")});
  EXPECT_EQ(moved["samples"], 6);
  EXPECT_EQ(moved["split"], "test");
}

TEST_F(EvalTest, NewPicturesAreAllJudgedByTheNamesOfTheirClasses) {
  WriteGrey(File("new/cat"), 2, 7);
  WriteGrey(File("new/bee"), 1, 4);
  const Json json = Eval({"--data", File("new")});
  EXPECT_EQ(json["samples"], 11);
  EXPECT_EQ(json["split"], "all");
  EXPECT_EQ(json["accuracy"], 1.0);
  EXPECT_EQ(json["balanced_accuracy"], 1.0);
  EXPECT_TRUE(json["per_class"]["ant"].is_null());
  EXPECT_EQ(json["per_class"]["cat"], 1.0);
  const CommandResult said =
      RunPocketune({"eval", "--checkpoint", File("run"), "--data", File("new")});
  EXPECT_THAT(said.out, HasSubstr("all pictures (no splits are named) of " + File("new") + ": 11"));
  EXPECT_THAT(said.out, HasSubstr("no picture of 1 of 3 classes: ant"));
  for (const char* split : {"train", "val", "test"}) {
    EXPECT_EQ(Eval({"--data", File("new"), "--split", split})["samples"], 11) << split;
  }
  EXPECT_EQ(Eval({"--data", File("new"), "--max-eval", "3"})["samples"], 6);
}

TEST_F(EvalTest, FractionsSplitNewPicturesWhereAsked) {
  for (int label = 0; label < kGreyClasses; ++label) {
    WriteGrey(File("parts/") + kGreyNames[label], label, 10);
  }
  std::filesystem::remove(File("parts/ant/0.png"));  // not the run's own
  const Json test = Eval({"--data", File("parts"), "--test-fraction", "0.4"});
  EXPECT_EQ(test["samples"], 12);
  EXPECT_EQ(test["split"], "test");
  const Json val = Eval({"--data", File("parts"), "--val-fraction", "0.3"});
  EXPECT_EQ(val["samples"], 9);
  EXPECT_EQ(val["split"], "val");
  const Args both = {"--data", File("parts"), "--val-fraction", "0.3", "--test-fraction", "0.4"};
  EXPECT_EQ(Eval(Plus(both, {"--split", "val"}))["samples"], 9);
  EXPECT_EQ(Eval(Plus(both, {"--split", "train"}))["samples"], 8);
  EXPECT_EQ(Eval(both)["samples"], 12);
}

TEST_F(EvalTest, SplitsThatNewDataNameAreObeyed) {
  for (int label = 0; label < kGreyClasses; ++label) {
    WriteGrey(File("named/train/") + kGreyNames[label], label, 5);
    WriteGrey(File("named/test/") + kGreyNames[label], label, 2);
  }
  const Args data = {"--data", File("named")};
  EXPECT_EQ(Eval(data)["samples"], 6);
  EXPECT_EQ(Eval(data)["split"], "test");
  EXPECT_EQ(Eval(Plus(data, {"--split", "train"}))["samples"], 15);
  ExpectRefused(4, Plus(data, {"--split", "val"}), "got val, want of test, train");
  ExpectRefused(2, Plus(data, {"--test-fraction", "0.5"}), "--test-fraction");
  std::filesystem::remove_all(File("named/test"));
  EXPECT_EQ(Eval(data)["split"], "train");
  EXPECT_EQ(Eval(data)["samples"], 15);
}

TEST_F(EvalTest, ClassesThatTheRunDoesNotKnowAreNamed) {
  WriteGrey(File("strange/ant"), 0, 2);
  WriteGrey(File("strange/dog"), 1, 2);
  ExpectRefused(4, {"--data", File("strange")}, "dog");
}

TEST_F(EvalTest, FlagsThatCannotBeObeyedAreRefused) {
  const Args others = {
      "--normalize",      "imagenet",  "--width",         "0.5",     "--resolution",  "8",
      "--classes",        "4",         "--batch",         "2",       "--dropout",     "0.5",
      "--model",          "small-cnn", "--weights",       File("w"), "--seed",        "7",
      "--val-fraction",   "0.3",       "--test-fraction", "0.5",     "--class-names", "x,y,z",
      "--input-channels", "3"};
  for (size_t i = 0; i < others.size(); i += 2) {
    ExpectRefused(2, {others[i], others[i + 1]}, others[i] + ": ");
  }
  // What the run has is no other.
  EXPECT_EQ(Eval({"--resolution", "4", "--normalize", "zero_one", "--seed", "1", "--batch", "4",
                  "--model", "mlp", "--test-fraction", "0.2"})["samples"],
            6);
  const CommandResult infer = RunPocketune(
      {"infer", "--checkpoint", File("run"), "--test-fraction", "0.5", File("photos/ant/0.png")});
  EXPECT_EQ(infer.exit_code, 2);
  for (size_t i = 0; i < 14; i += 2) {
    const CommandResult other = RunPocketune(
        {"infer", "--checkpoint", File("run"), others[i], others[i + 1], File("photos/ant/0.png")});
    EXPECT_EQ(other.exit_code, 2) << others[i];
    EXPECT_THAT(other.err, HasSubstr(others[i] + ": "));
  }
}

TEST_F(EvalTest, AnotherCameraIsObeyedByInferAsByEval) {
  const std::string ant = File("photos/ant/0.png");
  const auto answer = [&](const Args& more) {
    const CommandResult result =
        RunPocketune(Plus({"infer", "--checkpoint", File("run"), ant, "--json", "-"}, more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out)["predictions"][0]["top"][0]["class"];
  };
  EXPECT_EQ(answer({}), "ant");
  EXPECT_EQ(answer({"--perturb", "invert"}), "cat");  // 255 - 40 is nearest to 200
  EXPECT_EQ(Eval({"--perturb", "invert"})["per_class"]["ant"], 0.0);
}

TEST_F(EvalTest, ARareClassThatIsNeverFoundShowsInBalancedFigures) {
  WriteGrey(File("rare/ant"), 0, 19);
  WriteGrey(File("rare/cat"), 0, 1);  // looks like an ant
  const Json json = Eval({"--data", File("rare")});
  EXPECT_EQ(json["accuracy"], 0.95);
  EXPECT_EQ(json["balanced_accuracy"], 0.5);
  EXPECT_DOUBLE_EQ(json["macro_f1"].get<double>(), 2.0 * 19 / (19 + 20) / 2);
  const CommandResult said =
      RunPocketune({"eval", "--checkpoint", File("run"), "--data", File("rare")});
  EXPECT_THAT(said.out, HasSubstr("balanced accuracy 50.0 %, macro-F1 48.7 %"));
}

TEST_F(EvalTest, TrainingEndsWithBalancedFiguresInTextJsonAndReport) {
  WriteGrey(File("skew/test/ant"), 0, 19);
  WriteGrey(File("skew/test/bee"), 0, 1);
  WriteGrey(File("skew/test/cat"), 2, 0);
  for (int label = 0; label < kGreyClasses; ++label) {
    WriteGrey(File("skew/train/") + kGreyNames[label], label, 8);
  }
  const CommandResult trained =
      RunPocketune(Plus(TrainGrey(File("skew"), File("skew-run")), {"--json", File("json")}));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("test accuracy 95.0 % of 20 pictures"));
  EXPECT_THAT(trained.out, HasSubstr("balanced accuracy 50.0 %, macro-F1 48.7 %"));
  const std::vector<uint8_t> bytes = ReadBytes(File("json"));
  const Json json = Json::parse(bytes.begin(), bytes.end());
  EXPECT_EQ(json["balanced_accuracy"], 0.5);
  EXPECT_DOUBLE_EQ(json["macro_f1"].get<double>(), 2.0 * 19 / (19 + 20) / 2);
  const std::vector<uint8_t> page = ReadBytes(File("skew-run/report.html"));
  EXPECT_THAT(std::string(page.begin(), page.end()), HasSubstr("each class alike: 50.0"));
}

}  // namespace
}  // namespace pocketune::test
