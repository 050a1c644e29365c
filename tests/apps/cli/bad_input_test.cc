// Bad input: the contract's exit code, one line on stderr, and every file on disk as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"
#include "tests/support/sanitized.h"

namespace pocketune::test {
namespace {

using Args = std::vector<std::string>;

class BadInputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    temp_ = new TempFolder;
    WriteIdxFolder(File("data"));
    ASSERT_EQ(RunPocketune(TrainArgs(File("data"), File("run"))).exit_code, 0);
    ASSERT_EQ(RunPocketune({"compile", "--model", "small-cnn", "--out", File("plan")}).exit_code,
              0);
    ASSERT_EQ(RunPocketune({"export", "--checkpoint", File("run"), "--out", File("w")}).exit_code,
              0);
    ASSERT_EQ(RunPocketune({"export", "--checkpoint", "small-cnn", "--input-channels", "3", "--out",
                            File("w3")})
                  .exit_code,
              0);
    data::WriteImageFolder(File("photos"), 6);
    WriteBytes(File("text"), {'n', 'o', '\n'});
  }
  static void TearDownTestSuite() { delete temp_; }

  static std::string File(const std::string& name) { return temp_->File(name); }

  // Runs and checks the code, the line, and that nothing on disk has changed.
  static void Expect(int code, const Args& args, const std::string& part = "",
                     const CommandOptions& options = {}) {
    SCOPED_TRACE(::testing::PrintToString(args));
    const auto before = FilesBelow(temp_->path());
    const CommandResult result = RunPocketune(args, options);
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_EQ(result.signal, 0);
    ExpectOneLine(result.err);
    EXPECT_THAT(result.err, ::testing::HasSubstr(part));
    EXPECT_TRUE(FilesBelow(temp_->path()) == before) << "files have changed";
    std::filesystem::remove_all(File("new"));
  }

  // A run to a folder that is not there, with the flag set to `value`.
  static Args Train(const std::string& flag, const std::string& value) {
    return With(TrainArgs(File("data"), File("new")), flag, value);
  }
  static Args TrainOn(const std::string& data) { return TrainArgs(data, File("new")); }

  static TempFolder* temp_;
};
TempFolder* BadInputTest::temp_ = nullptr;

TEST_F(BadInputTest, CommandsAndFlagsThatAreNone) {
  Expect(2, {});
  Expect(2, {"tarin"}, "tarin: no such command");
  Expect(2, {"--frobnicate"});
  Expect(2, {"models", "extra"}, "extra");
  Expect(2, {"train", "--frobnicate"}, "--frobnicate");
  Expect(2, {"search"}, "--model");
  Expect(2, {"import", "model.onnx"}, "import: not built yet");
  Expect(2, {"train"}, "name a folder of pictures");
  Expect(2, {"train", File("data"), "--data", File("data")}, "named twice");
  Expect(2, {"train", "--resume"}, "--out");
  for (const char* command : {"eval", "infer", "export", "compile", "inspect", "ir"}) {
    Expect(2, {command}, "required");
  }
  for (const char* flag : {"--model", "--lr", "--threads", "--out", "--json", "--scheme"}) {
    Expect(2, {"train", flag}, flag);
  }
}

TEST_F(BadInputTest, BudgetsAndBatchesThatCannotBe) {
  for (const char* size : {"lots", "64XB", "-5", "0", "1e99", "nanMB", "1.2.3MB", "MiB", ""}) {
    Expect(2, Train("--memory", size), "--memory");
  }
  Expect(7, Train("--memory", "1KB"), "want at least");
  Expect(7, {"compile", "--model", "resnet8", "--memory", "1", "--out", File("new")},
         "want at least");
  Expect(7, {"inspect", "resnet8", "--scheme", "auto", "--memory", "1"}, "want at least");
  Expect(2, Train("--scheme", "auto"), "scheme auto: it needs a memory budget");
  Expect(2, {"bench", "--model", "resnet8", "--batch", "8", "--micro-batch", "3"}, "micro-batch");
  Expect(2, Train("--clip-norm", "0"), "--clip-norm");
  Expect(2, {"inspect", File("plan"), "--pareto"}, "--pareto needs a model");
}

TEST_F(BadInputTest, TheSmallestBudgetThatIsNamedWorksAndAByteLessDoesNot) {
  const Args args = {"compile", "--model", "resnet8", "--batch", "4", "--out", File("new")};
  const CommandResult none = RunPocketune(With(args, "--memory", "1KB"));
  EXPECT_EQ(none.exit_code, 7);
  const size_t at = none.err.find("want at least ");
  ASSERT_NE(at, std::string::npos) << none.err;
  const int64_t smallest = std::atoll(none.err.c_str() + at + 14);
  Expect(7, With(args, "--memory", std::to_string(smallest - 1)), std::to_string(smallest));
  const CommandResult works = RunPocketune(With(args, "--memory", std::to_string(smallest)));
  EXPECT_EQ(works.exit_code, 0) << works.err;
  std::filesystem::remove(File("new"));
}

TEST_F(BadInputTest, SchemesThatDoNotFit) {
  for (const char* ratio : {"1.01", "-0.1", "nan", "inf", "half", ""}) {
    Expect(2, Train("--scheme", "channels(" + std::string(ratio) + ")"), "want 0 to 1");
    Expect(2, Train("--scheme", "blocks.0.conv.weight=channels(" + std::string(ratio) + ")"),
           "want 0 to 1");
  }
  Expect(2, Train("--scheme", "blocks.0.covn.weight=all"), "nearest is blocks.0.conv.weight");
  Expect(2, Train("--scheme", "stem.con.weight=bias,*=bias"), "nearest is stem.conv.weight");
  Expect(2, Train("--scheme", "mcunetv3:mbv2-w0.35-49"), "is for another model (got small-cnn");
  Expect(2, Train("--scheme", "pockengine"), "none is published for this model (got small-cnn");
  const auto write = [](const std::string& json) {
    WriteBytes(File("scheme.json"), {json.begin(), json.end()});
    return File("scheme.json");
  };
  Expect(2, Train("--scheme", write(R"({"model": "resnet8", "default": "bias"})")),
         "is for another model (got small-cnn, want resnet8)");
  Expect(2, Train("--scheme", write(R"({"params": [{"pattern": "stm.*", "update": "all"}]})")),
         "nearest is stem");
  Expect(2, Train("--scheme", write(R"json({"default": "channels(3)"})json")),
         "got 3, want 0 to 1");
}

TEST_F(BadInputTest, NoChannelsAreTheBiases) {
  const auto learning = [](const char* scheme) {
    const CommandResult result = RunPocketune({"compile", "--model", "small-cnn", "--scheme",
                                               scheme, "--out", File("new"), "--json", "-"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const size_t at = result.out.find("\"trainable_params\"");
    return result.out.substr(at, result.out.find(',', at) - at);
  };
  EXPECT_EQ(learning("channels(0)"), learning("bias"));
  EXPECT_NE(learning("channels(0.5)"), learning("bias"));
  std::filesystem::remove(File("new"));
}

TEST_F(BadInputTest, ModelsThatAreNoClassifiers) {
  for (const Args& args : {Args{"train"}, Args{"search", "--memory", "1MB"}}) {
    const Args model = With(args, "--model", "ad-autoencoder");
    Expect(2, With(With(model, "--data", File("missing")), "--out", File("new")), "no classifier");
  }
}

TEST_F(BadInputTest, NamesThatAreNone) {
  Expect(2, Train("--model", "mobilenet_v9"), "mobilenet_v");
  Expect(2, {"bench", "--model", "mobilenet_v9"}, "mobilenet_v");
  Expect(2, {"bench", "--model", "mobilenet_v9", "--weights", File("w")}, "mobilenet_v");
  Expect(2, {"inspect", "mobilenet_v9"}, "mobilenet_v");
  Expect(2, {"export", "--checkpoint", "nothing", "--out", File("x")}, "nothing");
  for (const char* scheme : {"half", "bias:", "bias:0", "blocks:-1", "blocks:x", "full:1"}) {
    Expect(2, Train("--scheme", scheme), scheme);
  }
  Expect(2, Train("--scheme", "blocks:99"), "99");
  Expect(2, Train("--scheme", "blocks:99999999999999999999"));
  Expect(2, Train("--scheme", File("missing.json")), "missing.json");
  Expect(2, Train("--scheme", File("text")));
  Expect(2, Train("--optimizer", "lamb"), "lamb");
  Expect(2, Train("--batch-norm", "both"), "both");
  Expect(2, Train("--lr-schedule", "cos"), "cos");
  Expect(2, Train("--isa", "mmx"), "mmx");
  Expect(2, Train("--normalize", "bright"), "bright");
  Expect(2, Train("--perturb", "explode"), "explode");
  Expect(2, {"eval", "--checkpoint", File("run"), "--split", "dev"}, "dev");
}

TEST_F(BadInputTest, NumbersOutOfRange) {
  for (const char* lr : {"nan", "-nan", "-1", "0", "inf", "1e400", "1e30", "fast", ""}) {
    Expect(2, Train("--lr", lr), "--lr");
  }
  for (const char* threads : {"-1", "1000000000", "99999999999999999999", "two", "1.5"}) {
    Expect(2, Train("--threads", threads), "--threads");
  }
  for (const char* flag : {"--epochs", "--steps", "--batch", "--classes", "--resolution", "--width",
                           "--patience", "--checkpoint-every", "--input-channels"}) {
    for (const char* value : {"0", "-3", "nan", "99999999999999999999"}) {
      Expect(2, Train(flag, value), flag);
    }
  }
  for (const char* flag : {"--dropout", "--momentum", "--weight-decay", "--label-smoothing",
                           "--flip", "--val-fraction", "--test-fraction"}) {
    for (const char* value : {"nan", "-0.1", "1e9"}) Expect(2, Train(flag, value), flag);
  }
  for (const char* budget : {"soon", "9y", "-1m", "nan", "0", "1m2"}) {
    Expect(2, Train("--time-budget", budget), "--time-budget");
  }
  for (const char* group : {"x", "=1", "x=", "x=-1", "x=nan"}) {
    Expect(2, Train("--lr-group", group), "--lr-group");
  }
  Expect(2, Train("--seed", "-1"), "--seed");
  Expect(2, Train("--classes", "2"), "--classes");
  Expect(2, Train("--resolution", "1"));
}

TEST_F(BadInputTest, MoreThanTheMachineHas) {
#ifdef PT_SANITIZED
  GTEST_SKIP() << "sanitizers end a program that asks for so much";
#endif
  Expect(9, {"bench", "--model", "resnet50", "--resolution", "4096", "--batch", "4096"}, "memory");
}

TEST_F(BadInputTest, WeightsThatDoNotFit) {
  Expect(3, Train("--weights", File("missing")), "missing");
  Expect(3, Train("--weights", File("w3")));
  Expect(3, Train("--weights", File("text")));
  Expect(3, Train("--weights", File("plan")));
  Expect(3, {"bench", "--model", "resnet8", "--weights", File("w")});
  const std::vector<uint8_t> good = ReadBytes(File("w"));
  for (const size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{100}, good.size() - 1}) {
    WriteBytes(File("bad"), {good.begin(), good.begin() + int64_t(size)});
    Expect(3, Train("--weights", File("bad")));
  }
  const std::string header(good.begin(), good.end());
  const size_t tensor = header.find("\"dtype\"");  // behind the metadata, which say anything
  for (const size_t at : {size_t{0}, size_t{1}, size_t{4}, size_t{7}, size_t{8}, size_t{9},
                          size_t{12}, tensor, tensor + 1, tensor + 9}) {
    std::vector<uint8_t> bad = good;
    bad[at] ^= 0x40;
    WriteBytes(File("bad"), bad);
    Expect(3, Train("--weights", File("bad")));
  }
}

TEST_F(BadInputTest, PlansThatAreDamaged) {
  const std::vector<uint8_t> good = ReadBytes(File("plan"));
  const auto expect_bad = [&](const std::vector<uint8_t>& bytes) {
    WriteBytes(File("bad"), bytes);
    Expect(3, {"inspect", File("bad")});
    Expect(3, {"infer", "--checkpoint", File("bad"), File("photos/ant/000.jpg")});
    Expect(3, {"export", "--checkpoint", File("bad"), "--out", File("x")});
  };
  for (const size_t size : {size_t{0}, size_t{1}, size_t{64}, good.size() / 2, good.size() - 1}) {
    expect_bad({good.begin(), good.begin() + int64_t(size)});
  }
  for (size_t at = 3; at < good.size(); at += good.size() / 13) {
    std::vector<uint8_t> bad = good;
    bad[at] ^= 1;
    expect_bad(bad);
  }
  expect_bad(ReadBytes(File("w")));
}

TEST_F(BadInputTest, DataThatIsNone) {
  Expect(4, TrainOn(File("missing")), "missing");
  Expect(4, TrainOn(File("text")));
  Expect(4, TrainOn(File("plan")));
  std::filesystem::create_directories(File("empty"));
  Expect(4, TrainOn(File("empty")));
  std::filesystem::create_directories(File("hollow/ant"));
  std::filesystem::create_directories(File("hollow/bee"));
  Expect(4, TrainOn(File("hollow")));
  data::WriteImageFolder(File("hollow"), 6);
  std::filesystem::create_directories(File("hollow/dog"));
  Expect(4, TrainOn(File("hollow")), "hollow/dog");
  Expect(4, {"eval", "--checkpoint", File("run"), "--data", File("photos")}, "classes");
  Expect(4, {"infer", "--checkpoint", File("run"), File("text")}, "text");
  Expect(4, {"infer", "--checkpoint", File("run"), File("missing.jpg")}, "missing.jpg");
  WriteIdxFolder(File("short"));
  std::vector<uint8_t> labels = ReadBytes(File("short/train-labels-idx1-ubyte"));
  labels.pop_back();
  WriteBytes(File("short/train-labels-idx1-ubyte"), labels);
  Expect(4, TrainOn(File("short")));
}

TEST_F(BadInputTest, TooManyBadPicturesStopTheRun) {
  data::WriteImageFolder(File("rotten"), 20);
  for (const char* name : {"ant/000.jpg", "bee/001.jpg", "cat/002.jpg", "cat/003.jpg"}) {
    WriteBytes(File("rotten/") + name, {});
  }
  const CommandResult result = RunPocketune(With(TrainOn(File("rotten")), "--test-fraction", "0"));
  EXPECT_EQ(result.exit_code, 4) << result.err;
  ExpectOneLine(result.err);
  std::filesystem::remove_all(File("new"));
}

TEST_F(BadInputTest, PlacesThatCannotBeWritten) {
  Expect(6, TrainArgs(File("data"), File("text/run")), "text/run");
  Expect(6, TrainArgs(File("data"), File("text")), "text");
  Expect(6, {"compile", "--model", "small-cnn", "--out", File("text/plan")}, "text/plan");
  Expect(6, {"export", "--checkpoint", File("run"), "--out", File("text/w")}, "text/w");
  Expect(6, {"models", "--json", File("text/x"), "--quiet"}, "text/x");
  Expect(6, {"models", "--json", "/dev/full", "--quiet"}, "/dev/full");
  Expect(6, {"models", "--json", "-", "--quiet"}, "-", {.stdout_path = "/dev/full"});
  Expect(6, {"models", "--json", "-", "--quiet"}, "-", {.close_stdout = true});
  Expect(6, {"ir", File("missing.ptir")}, "missing.ptir");
}

TEST_F(BadInputTest, RunsThatAreThereOrNot) {
  Expect(2, TrainArgs(File("data"), File("run")), "--resume");
  Expect(2, {"train", "--resume", "--out", File("new")}, "--data");
  Expect(5, {"eval", "--checkpoint", File("photos")}, "no run here");
  Expect(5, {"infer", "--checkpoint", File("photos"), File("photos/ant/000.jpg")}, "no run here");
  Expect(5, {"export", "--checkpoint", File("photos"), "--out", File("x")}, "no run here");
  Expect(5, {"inspect", File("photos")}, "no run here");
}

}  // namespace
}  // namespace pocketune::test
