// Weights that people bring: broken ones, other models', and none at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/apps/cli/eval_test_util.h"

namespace pocketune::test {
namespace {

using Args = std::vector<std::string>;
using Json = nlohmann::json;
using testing::HasSubstr;

class WeightsCommandTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    temp_ = new TempFolder;
    Write("w", GreyTensors());
    for (int label = 0; label < kGreyClasses; ++label) {
      WriteGrey(File("photos/") + kGreyNames[label], label, 10);
    }
    ASSERT_EQ(RunPocketune(Train("w", "run")).exit_code, 0);
  }
  static void TearDownTestSuite() { delete temp_; }

  static std::string File(const std::string& name) { return temp_->File(name); }

  static void Write(const std::string& name, const std::vector<SafetensorsTensor>& tensors) {
    ASSERT_TRUE(WriteSafetensors(File(name), tensors).ok());
  }

  static Args Train(const std::string& weights, const std::string& out) {
    return Plus(
        {"train", "--model", "mlp", "--weights", File(weights), "--lr", "1e-12", "--epochs", "1",
         "--batch", "4", "--data", File("photos"), "--out", File(out), "--normalize", "zero_one"},
        GreyFlags());
  }
  static Args Of(const std::string& command, const std::string& target, const Args& more = {}) {
    Args args = Plus({command, "--checkpoint", target}, more);
    if (command == "eval") args = Plus(args, {"--data", File("photos")});
    if (command == "infer") args.push_back(File("photos/cat/0.png"));
    return args;
  }

  // Each way in for weights of the grey network.
  static std::vector<Args> WaysIn(const std::string& weights) {
    const Args given = Plus({"--weights", File(weights)}, GreyFlags());
    const Args model = Plus({"--model", "mlp", "--classes", "3"}, given);
    return {
        Train(weights, "new"),
        Plus({"train", "--dry-run", "--data", File("photos")}, model),
        Plus({"compile", "--out", File("new")}, model),
        Plus({"bench", "--steps", "1"}, model),
        Plus({"search", "--data", File("photos"), "--memory", "1MB", "--out", File("new")}, model),
        Plus({"inspect", "mlp", "--classes", "3"}, given),
        Of("eval", "mlp", given),
        Of("infer", "mlp", given),
        Plus({"export", "--checkpoint", "mlp", "--out", File("new")}, given)};
  }

  static void Expect(int code, const Args& args, const std::string& part) {
    SCOPED_TRACE(::testing::PrintToString(args));
    const CommandResult result = RunPocketune(Plus(args, {"--quiet"}));
    EXPECT_EQ(result.exit_code, code) << result.err;
    ExpectOneLine(result.err);
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_FALSE(std::filesystem::exists(File("new")));
    std::filesystem::remove_all(File("new"));
  }

  static Json JsonOf(const Args& args) {
    const CommandResult result = RunPocketune(Plus(args, {"--json", "-"}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    return json.is_object() ? json : Json::object();
  }

  static TempFolder* temp_;
};
TempFolder* WeightsCommandTest::temp_ = nullptr;

TEST_F(WeightsCommandTest, ValuesThatAreNotFiniteAreRefusedOnEveryWayIn) {
  for (const float bad : {NAN, INFINITY}) {
    auto tensors = GreyTensors();
    tensors[0].values[5] = bad;
    Write("bad", tensors);
    for (const Args& args : WaysIn("bad")) {
      Expect(3, args, File("bad") + ": tensor layers.0.weight has values that are not finite");
    }
  }
}

TEST_F(WeightsCommandTest, AnswersThatAreNotFiniteEndWithTheGuardsCode) {
  auto tensors = GreyTensors();
  for (float& value : tensors[0].values) value = 3e38f;
  for (float& value : tensors[2].values) value = 3e38f;
  Write("huge", tensors);
  const Args given = Plus({"--weights", File("huge"), "--normalize", "zero_one"}, GreyFlags());
  Expect(8, Of("infer", "mlp", given), File("photos/cat/0.png") + ": ");
  Expect(8, Of("eval", "mlp", given), "not finite, as for 30 of 30 pictures");
}

TEST_F(WeightsCommandTest, TargetsWithRandomWeightsAnswerNothing) {
  const Args grey = GreyFlags();
  ASSERT_EQ(RunPocketune(Plus({"compile", "--model", "mlp", "--classes", "3", "--out",
                               File("random.ptplan")},
                              grey))
                .exit_code,
            0);
  const Args four = Plus({"--classes", "4", "--weights", File("w")}, grey);
  ASSERT_EQ(RunPocketune(Plus({"compile", "--model", "mlp", "--out", File("fresh.ptplan")}, four))
                .exit_code,
            0);
  for (const char* command : {"eval", "infer"}) {
    Expect(2, Of(command, "mlp", Plus({"--classes", "3"}, grey)), "--weights is required");
    Expect(3, Of(command, File("random.ptplan")), "its weights are random");
    Expect(3, Of(command, "mlp", four), "its classifier is random");
    Expect(3, Of(command, File("fresh.ptplan")), "its classifier is random");
  }
}

TEST_F(WeightsCommandTest, AFileOfARunIsNoTarget) {
  std::filesystem::create_symlink(File("run/plan.ptplan"), File("link"));
  for (const char* name :
       {"run/plan.ptplan", "run/checkpoint-a", "run/../run/plan.ptplan", "link"}) {
    Expect(2, Of("infer", File(name)), "name the run's folder");
    Expect(2, Of("eval", File(name)), "/run)");
    Expect(2, Plus({"export", "--out", File("new")}, {"--checkpoint", File(name)}), "/run)");
  }
  EXPECT_EQ(RunPocketune({"inspect", File("run/plan.ptplan"), "--quiet"}).exit_code, 0);
}

TEST_F(WeightsCommandTest, APlanWithAllItsWeightsAnswers) {
  ASSERT_EQ(RunPocketune(Plus({"compile", "--model", "mlp", "--classes", "3", "--weights",
                               File("w"), "--out", File("given.ptplan")},
                              GreyFlags()))
                .exit_code,
            0);
  const Json json = JsonOf(Of("eval", File("given.ptplan"), {"--normalize", "zero_one"}));
  EXPECT_EQ(json["samples"], 30);
  EXPECT_EQ(json["accuracy"], 1.0);
  const Json answer = JsonOf(Of("infer", File("given.ptplan"),
                                {"--normalize", "zero_one", "--class-names", "ant,bee,cat"}));
  EXPECT_EQ(answer["predictions"][0]["top"][0]["class"], "cat");
  Expect(2, Of("infer", File("given.ptplan"), {"--class-names", "ant,bee"}), "--class-names");
}

TEST_F(WeightsCommandTest, ClassesAreThoseOfTheWeightsWhereNoneAreAskedFor) {
  const Args given = Plus({"--weights", File("w"), "--normalize", "zero_one"}, GreyFlags());
  EXPECT_EQ(JsonOf(Of("eval", "mlp", given))["accuracy"], 1.0);
  EXPECT_EQ(JsonOf(Of("infer", "mlp", given))["predictions"][0]["top"][0]["index"], 2);
}

TEST_F(WeightsCommandTest, ClassesWithoutNamesAreMatchedByNumberOrNotAtAll) {
  const Args given =
      Plus({"--weights", File("w"), "--normalize", "zero_one", "--checkpoint", "mlp"}, GreyFlags());
  WriteGrey(File("some/bee"), 1, 2);
  WriteGrey(File("some/cat"), 2, 2);
  const Args some = Plus({"eval", "--data", File("some")}, given);
  Expect(4, some, "--class-names names the model's");
  EXPECT_EQ(JsonOf(Plus(some, {"--class-names", "ant,bee,cat"}))["accuracy"], 1.0);
  Expect(2, Plus(some, {"--class-names", "bee,cat"}), "--class-names");
  WriteGrey(File("numbers/1"), 1, 2);
  WriteGrey(File("numbers/2"), 2, 2);
  EXPECT_EQ(JsonOf(Plus({"eval", "--data", File("numbers")}, given))["accuracy"], 1.0);
}

TEST_F(WeightsCommandTest, WordsBeforeNamesAreLeftOutAndSaid) {
  auto tensors = GreyTensors();
  for (SafetensorsTensor& tensor : tensors) tensor.name = "module." + tensor.name;
  Write("wrapped", tensors);
  const Args given = Plus({"--weights", File("wrapped"), "--normalize", "zero_one"}, GreyFlags());
  const CommandResult result = RunPocketune(Of("eval", "mlp", given));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("without \"module.\""));
  EXPECT_THAT(result.out, HasSubstr("accuracy 100.0 %"));
}

TEST_F(WeightsCommandTest, AFileOfAnotherModelSaysWhichOneItFits) {
  Expect(3,
         {"train", "--model", "small-cnn", "--weights", File("w"), "--data", File("photos"),
          "--out", File("new")},
         "and fits --model mlp --resolution 4 --classes 3");
}

TEST_F(WeightsCommandTest, OfARunThatHasKeptNoStepAWarningSaysThatItIsRandom) {
  const auto stopped_at_once = [](Args args, const std::string& out) {
    args = Plus(With(args, "--out", File(out)), {"--time-budget", "1e-9s"});
    ASSERT_EQ(RunPocketune(args).exit_code, 0);
  };
  Args args = Train("w", "");
  stopped_at_once(args, "started");
  const auto weights = std::find(args.begin(), args.end(), "--weights");
  args.erase(weights, weights + 2);
  stopped_at_once(args, "random-run");
  for (const char* command : {"infer", "eval"}) {
    const CommandResult given = RunPocketune(Of(command, File("started")));
    EXPECT_EQ(given.exit_code, 0);
    EXPECT_EQ(given.err, "");
    const CommandResult random = RunPocketune(Of(command, File("random-run")));
    EXPECT_EQ(random.exit_code, 0);
    EXPECT_THAT(random.err, HasSubstr("its weights are random"));
  }
}

}  // namespace
}  // namespace pocketune::test
