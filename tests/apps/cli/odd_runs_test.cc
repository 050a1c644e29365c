// Runs that cannot do what their flags hope for: they say so, or take what fits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "tests/apps/cli/cli_test_util.h"
#include "tests/support/test_name.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Args = std::vector<std::string>;

class OddRunsTest : public ::testing::Test {
 protected:
  std::string File(const std::string& name) const { return temp_.File(name); }
  // Trains on so many pictures, none of which are for validation, with these flags in addition.
  CommandResult Train(int pictures, const Args& more) {
    const std::string data = File("data" + std::to_string(pictures));
    WriteIdxFolder(data, pictures);
    Args args = TrainArgs(data, File("run" + std::to_string(++runs_)));
    args.insert(args.end(), {"--val-fraction", "0"});
    for (size_t i = 0; i + 1 < more.size(); i += 2) args = With(args, more[i], more[i + 1]);
    return RunPocketune(args);
  }

  TempFolder temp_;
  int runs_ = 0;
};

TEST_F(OddRunsTest, PatienceWithoutValidationPicturesIsSaid) {
  const CommandResult result = Train(30, {"--patience", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const size_t at = result.out.find("--patience has no effect: there are no validation pictures");
  ASSERT_NE(at, std::string::npos) << result.out;
  EXPECT_LT(at, result.out.find("epoch 1")) << "before training";
  const CommandResult with =
      Train(30, {"--patience", "2", "--keep", "best", "--val-fraction", "0.2"});
  EXPECT_THAT(with.out, Not(HasSubstr("no effect")));
}

struct Idle {
  Args flags;
  const char* line;
};
class IdleFlagTest : public OddRunsTest, public ::testing::WithParamInterface<Idle> {};

TEST_P(IdleFlagTest, IsSaid) {
  const CommandResult result = Train(30, GetParam().flags);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(GetParam().line));
}

INSTANTIATE_TEST_SUITE_P(
    Train, IdleFlagTest,
    ::testing::Values(
        Idle{{"--keep", "best"}, "--keep has no effect: there are no validation pictures"},
        Idle{{"--epochs", "2", "--steps", "3"}, "--epochs has no effect: --steps goes before"},
        Idle{{"--lr-gamma", "0.5"}, "--lr-gamma has no effect: the schedule is cosine"},
        Idle{{"--lr-step-every", "2"}, "--lr-step-every has no effect"},
        Idle{{"--lr-schedule", "step"}, "without --lr-step-every there is no step"},
        Idle{{"--momentum", "0.5", "--optimizer", "adamw"}, "adamw has none"}),
    [](const auto& info) { return TestName(absl::StrJoin(info.param.flags, " ")); });

TEST_F(OddRunsTest, ABatchOfMoreThanThePicturesBecomesWholeMicroBatches) {
  const CommandResult result = Train(28, {"--batch", "32", "--micro-batch", "8"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("--batch 32 is more than the 28 training pictures: a batch is "
                                    "24, in parts of 8"));
}

TEST_F(OddRunsTest, FewerPicturesThanAMicroBatchAreOne) {
  const CommandResult result = Train(7, {"--batch", "32", "--micro-batch", "8"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("the 7 training pictures: a batch is 7"));
}

TEST_F(OddRunsTest, AMicroBatchThatNeverFitIsToldWithTheNumbersAskedFor) {
  const CommandResult result = Train(28, {"--batch", "30", "--micro-batch", "8"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("got 8, batch 30"));
}

TEST_F(OddRunsTest, BatchNormOfSinglePicturesIsAWarning) {
  const char* warning = "batch norm takes its statistics of one picture at a time";
  for (const Args& flags : {Args{"--batch", "1"},
                            {"--batch", "4", "--micro-batch", "1"},
                            {"--batch", "1", "--scheme", "last:1", "--batch-norm", "train"}}) {
    const CommandResult result = Train(10, flags);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr(warning));
    EXPECT_THAT(result.err, HasSubstr("--batch-norm frozen"));
  }
  EXPECT_THAT(Train(3, {"--batch", "32", "--max-train", "1", "--model", "small-cnn"}).err,
              Not(HasSubstr(warning)));
  for (const Args& flags : {Args{"--batch", "1", "--batch-norm", "frozen"},
                            {"--batch", "1", "--model", "mlp"},
                            {"--batch", "2"}}) {
    EXPECT_EQ(Train(10, flags).err, "");
  }
}

TEST_F(OddRunsTest, LayersThatAreRandomAndStaySoAreAWarning) {
  const CommandResult result = Train(10, {"--batch", "1", "--scheme", "head"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  ExpectOneLine(result.err);
  EXPECT_THAT(result.err, HasSubstr("begin at random, and under --scheme head most stay so"));
}

}  // namespace
}  // namespace pocketune::test
