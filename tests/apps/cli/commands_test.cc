// What each command prints when all is well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "frontends/weights/safetensors.h"
#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using Args = std::vector<std::string>;
using Json = nlohmann::json;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() { WriteIdxFolder(File("data")); }
  std::string File(const std::string& name) const { return temp_.File(name); }

  // The object that the command writes to stdout, which must carry nothing else.
  static Json JsonOf(const Args& args) {
    const CommandResult result = RunPocketune(With(args, "--json", "-"));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(json.is_discarded()) << result.out;
    return json;
  }

  // Names of the tensors whose bytes differ between training and before.
  std::set<std::string> Learned(const std::string& run) const {
    for (const bool base : {false, true}) {
      Args args = {"export", "--checkpoint", run, "--out", File(base ? "base" : "tuned")};
      if (base) args.push_back("--base");
      EXPECT_EQ(RunPocketune(args).exit_code, 0);
    }
    const SafetensorsFile tuned = *SafetensorsFile::Open(File("tuned"));
    const SafetensorsFile base = *SafetensorsFile::Open(File("base"));
    EXPECT_EQ(tuned.entries().size(), base.entries().size());
    std::set<std::string> names;
    for (const WeightsEntry& entry : tuned.entries()) {
      const WeightsEntry* before = base.Find(entry.name);
      if (before == nullptr || *tuned.Read(entry) != *base.Read(*before)) names.insert(entry.name);
    }
    return names;
  }

  TempFolder temp_;
};

TEST_F(CommandsTest, EveryCommandHasHelpWithAnExample) {
  const CommandResult all = RunPocketune({"--help"});
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_THAT(all.out, HasSubstr("Example"));
  for (const char* command : {"models", "train", "eval", "infer", "export", "compile", "inspect",
                              "ir", "bench", "search"}) {
    EXPECT_THAT(all.out, HasSubstr(command));
    const CommandResult help = RunPocketune({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_EQ(help.err, "") << command;
    EXPECT_THAT(help.out, HasSubstr(std::string("  pocketune ") + command)) << command;
    for (const char* flag : {"--json", "--threads", "--seed", "--quiet", "--isa"}) {
      EXPECT_THAT(help.out, HasSubstr(flag)) << command;
    }
  }
  EXPECT_THAT(all.out, Not(HasSubstr("\n  import")));
  EXPECT_THAT(RunPocketune({"--version"}).out, HasSubstr("cpu"));
}

TEST_F(CommandsTest, TrainAndBenchWriteTheContractsFields) {
  const Args fields = {"model",
                       "width",
                       "resolution",
                       "classes",
                       "batch",
                       "scheme",
                       "optimizer",
                       "threads",
                       "backend",
                       "isa",
                       "params",
                       "trainable_params",
                       "forward_macs",
                       "backward_macs",
                       "compile_ms",
                       "first_step_ms",
                       "step_ms_median",
                       "step_ms_mad",
                       "steps",
                       "loss_first",
                       "loss_last",
                       "arena_bytes",
                       "param_bytes",
                       "optimizer_bytes",
                       "packed_bytes",
                       "predicted_peak_bytes",
                       "measured_peak_bytes",
                       "baseline_rss_bytes"};
  const Json bench = JsonOf({"bench", "--model", "small-cnn", "--steps", "2", "--warmup", "0"});
  const Json train = JsonOf(TrainArgs(File("data"), File("run")));
  const Json eval = JsonOf({"eval", "--checkpoint", File("run")});
  for (const std::string& field : fields) {
    EXPECT_TRUE(bench.contains(field)) << field;
    EXPECT_TRUE(train.contains(field)) << field;
  }
  for (const char* field : {"accuracy", "top5", "samples"}) {
    EXPECT_TRUE(train.contains(field)) << field;
    EXPECT_EQ(eval[field], train[field]) << field;
  }
  EXPECT_EQ(train["samples"], 20);
}

TEST_F(CommandsTest, ADryRunWritesNothing) {
  const auto before = FilesBelow(temp_.path());
  Args args = TrainArgs(File("data"), File("run"));
  args.push_back("--dry-run");
  const Json json = JsonOf(args);
  EXPECT_EQ(json["dry_run"], true);
  EXPECT_GT(json["predicted_peak_bytes"], 0);
  EXPECT_EQ(json["total_steps"], 22);
  EXPECT_TRUE(FilesBelow(temp_.path()) == before);
}

TEST_F(CommandsTest, InspectNamesEachKernelOfAllSchedulesOnce) {
  const Json json = JsonOf({"inspect", "ds-cnn", "--scheme", "head"});
  std::set<std::string> called;
  for (const Json& schedule : json["schedules"]) {
    for (const Json& row : schedule["ops"]) called.insert(row["kernel"].get<std::string>());
  }
  EXPECT_GT(called.size(), 5u);
  EXPECT_EQ(json["kernels"], Json(called));
  std::string lines;
  for (const std::string& name : called) lines += name + "\n";
  EXPECT_EQ(RunPocketune({"inspect", "ds-cnn", "--scheme", "head", "--kernels"}).out, lines);
}

TEST_F(CommandsTest, InspectGivesAPublishedSchemesExtraMemory) {
  const Args flags = {"--model", "mbv2-w0.35", "--scheme", "mcunetv3:mbv2-w0.35-49"};
  Args args = {"inspect"};
  args.insert(args.end(), flags.begin(), flags.end());
  const Json json = JsonOf(With(args, "--memory-model", "mcunetv3"));
  EXPECT_EQ(json["extra_memory_bytes"], 51002);
  EXPECT_EQ(json["trained_weights"], 22410);
  EXPECT_EQ(json["trained_biases"], 3128);
  EXPECT_EQ(json["forward_macs"], 16758912);
  // 0.28178 of the convolutions' forward pass, and twice the classifier.
  EXPECT_EQ(json["backward_macs"], 4690848 + 2 * 112 * 1000);
}

TEST_F(CommandsTest, QuietSaysNothing) {
  Args args = TrainArgs(File("data"), File("run"));
  args.push_back("--quiet");
  const CommandResult result = RunPocketune(args);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out + result.err, "");
}

TEST_F(CommandsTest, OnlyWhatASchemeLetsLearnChanges) {
  const Args all = {"full", "head", "bias", "bias:1", "blocks:1", "channels(0.5)"};
  std::map<std::string, std::set<std::string>> learned;
  for (const std::string& scheme : all) {
    Args args = With(TrainArgs(File("data"), File(scheme)), "--scheme", scheme);
    ASSERT_EQ(RunPocketune(With(args, "--keep", "last")).exit_code, 0) << scheme;
    learned[scheme] = Learned(File(scheme));
  }
  const auto is_classifier = [](const std::string& name) {
    return name.rfind("classifier.", 0) == 0 || name.rfind("fc.", 0) == 0;
  };
  EXPECT_EQ(learned["head"].size(), 2u);
  for (const std::string& name : learned["head"]) EXPECT_TRUE(is_classifier(name)) << name;
  for (const std::string& name : learned["bias"]) {
    EXPECT_TRUE(is_classifier(name) || name.ends_with(".bias")) << name;
  }
  for (const std::string& scheme : all) {
    // Each scheme contains the head, and is contained in full.
    for (const std::string& name : learned["head"]) EXPECT_TRUE(learned[scheme].count(name));
    for (const std::string& name : learned[scheme]) EXPECT_TRUE(learned["full"].count(name));
  }
  EXPECT_GT(learned["bias"].size(), learned["bias:1"].size());
  EXPECT_GT(learned["bias:1"].size(), 2u);
  EXPECT_GT(learned["blocks:1"].size(), learned["bias:1"].size());
  EXPECT_GT(learned["full"].size(), learned["blocks:1"].size());
}

TEST_F(CommandsTest, InferNamesTheClasses) {
  data::WriteImageFolder(File("photos"), 9);
  ASSERT_EQ(RunPocketune(TrainArgs(File("photos"), File("run"))).exit_code, 0);
  const std::string a = File("photos/ant/000.jpg"), b = File("photos/cat/001.jpg");
  const Json json = JsonOf({"infer", "--checkpoint", File("run"), a, b, a, b, a, "--top", "2"});
  ASSERT_EQ(json["predictions"].size(), 5u);
  EXPECT_EQ(json["predictions"][0], json["predictions"][4]);
  EXPECT_EQ(json["predictions"][1]["file"], b);
  ASSERT_EQ(json["predictions"][1]["top"].size(), 2u);
  const std::string name = json["predictions"][1]["top"][0]["class"];
  EXPECT_TRUE(name == "ant" || name == "bee" || name == "cat") << name;
}

TEST_F(CommandsTest, ABudgetIsMetAndWhatItCostsIsOneLine) {
  const Args compile = {"compile", "--model", "resnet8", "--batch", "8", "--out", File("plan")};
  const Json free = JsonOf(compile);
  EXPECT_EQ(free["memory"]["given_up"], "");
  const int64_t budget = free["predicted_peak_bytes"].get<int64_t>() * 9 / 10;
  const Args within = With(compile, "--memory", std::to_string(budget));
  const CommandResult result = RunPocketune(With(within, "--json", "-"));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_LE(json["predicted_peak_bytes"], budget);
  EXPECT_EQ(json["memory"]["budget_bytes"], budget);
  EXPECT_EQ(json["memory"]["fastest_peak_bytes"], free["predicted_peak_bytes"]);
  EXPECT_GT(json["memory"]["extra_time"], 0.0);
  EXPECT_THAT(result.err,
              HasSubstr("pocketune: --memory: " + json["memory"]["given_up"].get<std::string>()));
}

TEST_F(CommandsTest, InspectDrawsMemoryAgainstTime) {
  const Json json =
      JsonOf({"inspect", "resnet8", "--batch", "4", "--pareto", "--out", File("front.svg")});
  EXPECT_EQ(json["times"], "cost model");
  ASSERT_GT(json["plans"].size(), 1u);
  for (size_t i = 1; i < json["plans"].size(); ++i) {
    EXPECT_GT(json["plans"][i]["predicted_peak_bytes"],
              json["plans"][i - 1]["predicted_peak_bytes"]);
    EXPECT_LT(json["plans"][i]["step_cost_ms"], json["plans"][i - 1]["step_cost_ms"]);
  }
  std::ifstream svg(File("front.svg"));
  std::string first;
  ASSERT_TRUE(std::getline(svg, first));
  EXPECT_THAT(first, HasSubstr("<svg "));
}

}  // namespace
}  // namespace pocketune::test
