#include "sparse_bp/scheme.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "autodiff/autodiff.h"
#include "tests/sparse_bp/small_model.h"
#include "tests/support/temp_folder.h"

namespace pocketune {
namespace {

using test::SmallModel;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Names of what learns under a scheme, in the model's order.
absl::StatusOr<std::vector<std::string>> Learning(const UpdateScheme& scheme) {
  Graph graph = SmallModel::Build(/*batch_statistics=*/false);
  if (absl::Status status = ApplyScheme(graph, scheme); !status.ok()) return status;
  std::vector<std::string> names;
  for (ValueId id : LearningParams(graph)) names.push_back(graph.value(id).name);
  return names;
}

std::vector<std::string> Learning(const std::string& text) {
  const auto scheme = ParseScheme(text);
  EXPECT_TRUE(scheme.ok()) << scheme.status();
  const auto names = Learning(*scheme);
  EXPECT_TRUE(names.ok()) << names.status();
  return *names;
}

std::vector<std::string> AllBiases(const std::vector<std::string>& layers) {
  std::vector<std::string> names;
  for (const std::string& layer : layers) names.push_back(layer + ".bn.bias");
  return names;
}

std::vector<std::string> Plus(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::vector<std::string> kClassifier = {"classifier.weight", "classifier.bias"};

TEST(SchemeTest, FullLearnsEverythingButRunningStatistics) {
  const auto names = Learning("full");
  // Per layer of eleven: weight, scale, shift; and the classifier.
  EXPECT_EQ(names.size(), 11u * 3 + 2);
  EXPECT_THAT(names, testing::Each(Not(HasSubstr("running"))));
}

TEST(SchemeTest, HeadLearnsTheClassifierAlone) { EXPECT_EQ(Learning("head"), kClassifier); }

TEST(SchemeTest, BiasLearnsAllShiftsAndTheClassifier) {
  EXPECT_EQ(Learning("bias"),
            Plus(AllBiases({"stem", "blocks.0.expand", "blocks.0.dw", "blocks.0.project",
                            "blocks.1.expand", "blocks.1.dw", "blocks.1.project", "blocks.2.expand",
                            "blocks.2.dw", "blocks.2.project", "tail"}),
                 kClassifier));
}

TEST(SchemeTest, BiasOfBlocksLeavesTheTailAlone) {
  EXPECT_EQ(Learning("bias:1"),
            Plus(AllBiases({"blocks.2.expand", "blocks.2.dw", "blocks.2.project"}), kClassifier));
}

TEST(SchemeTest, BlocksTakeTheTailWithThem) {
  EXPECT_EQ(Learning("blocks:1"),
            (std::vector<std::string>{"blocks.2.expand.weight", "blocks.2.expand.bn.weight",
                                      "blocks.2.expand.bn.bias", "blocks.2.dw.weight",
                                      "blocks.2.dw.bn.weight", "blocks.2.dw.bn.bias",
                                      "blocks.2.project.weight", "blocks.2.project.bn.weight",
                                      "blocks.2.project.bn.bias", "tail.weight", "tail.bn.weight",
                                      "tail.bn.bias", "classifier.weight", "classifier.bias"}));
}

TEST(SchemeTest, AllBlocksLeaveTheStemAlone) {
  EXPECT_EQ(Learning("blocks:3").size(), Learning("full").size() - 3);
}

TEST(SchemeTest, TheNumberOfBlocksMustFit) {
  for (const char* text : {"blocks:0", "blocks:4", "bias:4", "blocks:-1"}) {
    const auto scheme = ParseScheme(text);
    ASSERT_TRUE(scheme.ok()) << scheme.status();
    const std::string k = std::string(text).substr(std::string(text).find(':') + 1);
    EXPECT_EQ(Learning(*scheme).status(),
              absl::InvalidArgumentError("scheme " + std::string(text) +
                                         ": the model has 3 blocks (got " + k + ", want 1 to 3)"));
  }
}

TEST(SchemeTest, AModelWithoutBlocksSaysSo) {
  Graph graph;
  const ValueId w = graph.AddParam("w", {1}, ParamRole::kWeight, nullptr);
  graph.value(w).section = Section::kClassifier;
  EXPECT_EQ(ApplyScheme(graph, *ParseScheme("blocks:1")),
            absl::InvalidArgumentError("scheme blocks:1: the model has no blocks"));
}

TEST(SchemeTest, AModelInWhichNothingWouldLearnIsAnError) {
  Graph graph;
  graph.AddParam("w", {1}, ParamRole::kWeight, nullptr);
  EXPECT_EQ(
      ApplyScheme(graph, *ParseScheme("head")),
      absl::InvalidArgumentError("scheme head: nothing would learn: the model has no classifier"));
}

TEST(SchemeTest, ASecondSchemeReplacesTheFirst) {
  Graph graph = SmallModel::Build(false);
  ASSERT_TRUE(ApplyScheme(graph, *ParseScheme("full")).ok());
  ASSERT_TRUE(ApplyScheme(graph, *ParseScheme("head")).ok());
  EXPECT_EQ(CountTrainableParams(graph), 5 * 11 + 5);
}

TEST(SchemeTest, RunningStatisticsKeepTheirMark) {
  Graph graph = SmallModel::Build(false);
  const ValueId mean = graph.FindValue("stem.bn.running_mean", ValueKind::kParam);
  graph.value(mean).trainable = true;
  ASSERT_TRUE(ApplyScheme(graph, *ParseScheme("head")).ok());
  EXPECT_TRUE(graph.value(mean).trainable);
  EXPECT_EQ(CountTrainableParams(graph), 5 * 11 + 5);
}

TEST(SchemeTest, OnlyFullUsesBatchStatistics) {
  EXPECT_TRUE(UsesBatchStatistics(*ParseScheme("full")));
  for (const char* text : {"head", "bias", "bias:2", "blocks:3"}) {
    EXPECT_FALSE(UsesBatchStatistics(*ParseScheme(text))) << text;
  }
  EXPECT_FALSE(UsesBatchStatistics(*ParseSchemeJson(R"({"default": "all"})", "a.json")));
}

// "<numbers>" of the slices of a weight that learn under a scheme; "all" or "none".
std::string SlicesOf(const std::string& text, const std::string& name) {
  Graph graph = SmallModel::Build(false);
  const auto scheme = ParseScheme(text);
  EXPECT_TRUE(scheme.ok()) << scheme.status();
  const absl::Status status = ApplyScheme(graph, *scheme);
  EXPECT_TRUE(status.ok()) << status;
  const Value& value = graph.value(graph.FindValue(name, ValueKind::kParam));
  if (value.slices == nullptr) return value.trainable ? "all" : "none";
  std::string numbers;
  for (int32_t number : value.slices->numbers) numbers += std::to_string(number);
  return numbers;
}

TEST(SchemeTest, ChannelsLearnBiasesAndSlicesOfWeightsButNoScales) {
  const auto names = Learning("channels(0.5)");
  EXPECT_EQ(names.size(), 11u * 2 + 2);
  EXPECT_THAT(names, Not(testing::Contains("blocks.1.expand.bn.weight")));
  EXPECT_EQ(SlicesOf("channels(0.5,first)", "stem.weight"), "0");              // of 3
  EXPECT_EQ(SlicesOf("channels(0.5,first)", "blocks.1.expand.weight"), "01");  // of 5
  EXPECT_EQ(SlicesOf("channels(0.5,first)", "blocks.1.dw.weight"), "012");     // of 7
  EXPECT_EQ(SlicesOf("channels(0.5,first)", "classifier.weight"), "all");
  EXPECT_EQ(SlicesOf("channels(1)", "stem.weight"), "all");
  EXPECT_EQ(SlicesOf("channels(0.3)", "stem.weight"), "none");  // floor(0.9)
}

TEST(SchemeTest, NoChannelsAreTheBiases) { EXPECT_EQ(Learning("channels(0)"), Learning("bias")); }

TEST(SchemeTest, ChannelsOfTheLargestNormAreTaken) {
  Graph graph = SmallModel::Build(false);
  const ValueId id = graph.FindValue("blocks.0.dw.weight", ValueKind::kParam);
  std::vector<float> data(9 * 7, 0.0f);
  data[4 * 7 + 5] = -3.0f;  // of channel 5
  data[2 * 7 + 1] = 2.0f;
  data[3 * 7 + 1] = 2.0f;
  data[0] = 2.5f;
  graph.value(id).data = std::make_shared<const std::vector<float>>(data);
  ASSERT_TRUE(ApplyScheme(graph, *ParseScheme("blocks.0.dw.weight=channels(0.3)")).ok());
  EXPECT_EQ(graph.value(id).slices->numbers, (std::vector<int32_t>{1, 5}));  // 8, 9 and 6.25
}

TEST(SchemeTest, RandomChannelsFollowTheSeed) {
  std::set<std::string> seen;
  for (int seed = 0; seed < 20; ++seed) {
    const std::string text = "channels(0.5,random:" + std::to_string(seed) + ")";
    EXPECT_EQ(SlicesOf(text, "blocks.0.dw.weight"), SlicesOf(text, "blocks.0.dw.weight"));
    seen.insert(SlicesOf(text, "blocks.0.dw.weight"));
  }
  EXPECT_GT(seen.size(), 10u);  // of 35
  EXPECT_EQ(SlicesOf("channels(0.5,random)", "blocks.0.dw.weight"),
            SlicesOf("channels(0.5,random:1)", "blocks.0.dw.weight"));
}

TEST(SchemeTest, BadChannelsAreClearErrors) {
  const std::pair<const char*, const char*> cases[] = {
      {"channels(1.01)", "channels: the ratio is out of range (got 1.01, want 0 to 1)"},
      {"channels(-0.5)", "channels: the ratio is out of range (got -0.5, want 0 to 1)"},
      {"channels(nan)", "channels: the ratio is out of range (got nan, want 0 to 1)"},
      {"channels()", "channels: the ratio is out of range (got , want 0 to 1)"},
      {"channels(0.5,random:x)", "channels: the seed is no whole number (got x)"},
      {"channels(0.5",
       "unknown update (got channels(0.5, want none, bias, all, channels(R) or "
       "channels(R,ORDER))"},
      {"=bias", "a rule has no pattern (got =bias, want PATTERN=UPDATE)"},
      {"a=bias,b", "a rule has no pattern (got b, want PATTERN=UPDATE)"},
  };
  for (const auto& [text, fact] : cases) {
    EXPECT_EQ(ParseScheme(text).status(),
              absl::InvalidArgumentError("scheme " + std::string(text) + ": " + fact));
  }
}

TEST(SchemeTest, ChannelsOfWhatHasNoneAreAnError) {
  Graph graph;
  graph.AddParam("table", {5, 3}, ParamRole::kWeight, nullptr);
  EXPECT_EQ(ApplyScheme(graph, *ParseScheme("table=channels(0.5)")),
            absl::InvalidArgumentError(
                "scheme table=channels(0.5): table has no input channels: it is no weight of a "
                "convolution or a linear layer"));
}

TEST(SchemeTest, RulesMayStandInTheText) {
  EXPECT_EQ(
      Learning("blocks.[12].dw.*=bias,blocks.2.dw.bn.bias=none,tail.weight=channels(0.5,first)"),
      Plus({"blocks.1.dw.bn.bias", "tail.weight"}, kClassifier));
}

TEST(SchemeTest, TheLastLayersAreCountedFromTheClassifier) {
  EXPECT_EQ(Learning("last:2"), Plus({"blocks.2.project.weight", "blocks.2.project.bn.bias",
                                      "tail.weight", "tail.bn.bias"},
                                     kClassifier));
  EXPECT_EQ(Learning("last:11").size(), 11u * 2 + 2);
  Graph graph = SmallModel::Build(false);
  EXPECT_EQ(
      ApplyScheme(graph, *ParseScheme("last:12")),
      absl::InvalidArgumentError("scheme last:12: the model has 11 layers (got 12, want 1 to 11)"));
}

TEST(SchemeTest, PublishedSchemesAreForTheirModelsAlone) {
  Graph graph = SmallModel::Build(false);
  graph.name = "mcunet-5fps";
  EXPECT_EQ(ApplyScheme(graph, *ParseScheme("mcunetv3:mbv2-w0.35-49")),
            absl::InvalidArgumentError("scheme mcunetv3:mbv2-w0.35-49: is for another model (got "
                                       "mcunet-5fps, want mbv2-w0.35)"));
  EXPECT_EQ(ApplyScheme(graph, *ParseScheme("mcunetv3:mcunet-5fps-49")),
            absl::InvalidArgumentError("scheme mcunetv3:mcunet-5fps-49: is for a model with other "
                                       "layers (got 11, want 42)"));
  EXPECT_EQ(ParseScheme("mcunetv3:mcunet-5fps-100").status(),
            absl::InvalidArgumentError(
                "scheme mcunetv3:mcunet-5fps-100: none of that name is published (got "
                "mcunet-5fps-100, nearest is mcunet-5fps-124)"));
  graph.name = "small";
  EXPECT_EQ(ApplyScheme(graph, *ParseScheme("pockengine")),
            absl::InvalidArgumentError(
                "scheme pockengine: none is published for this model (got small, want "
                "mobilenet_v2, mbv2-w0.35, resnet50, mcunet-5fps, mcunet-in1)"));
}

TEST(SchemeTest, WhatIsPlannedIsNotBuiltYet) {
  for (const char* text : {"auto", "lora(4)"}) {
    EXPECT_EQ(ParseScheme(text).status(),
              absl::UnimplementedError("scheme " + std::string(text) + ": not built yet"));
  }
}

TEST(SchemeTest, UnknownNamesAreErrors) {
  for (const char* text : {"", "fulll", "blocks", "blocks:", "blocks:x", "bias:1.5", "head:1"}) {
    EXPECT_EQ(ParseScheme(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(SchemeJsonTest, TheLastRuleThatMatchesCounts) {
  const char* json = R"({"default": "none", "params": [
      {"pattern": "blocks.[12].*", "update": "bias"},
      {"pattern": "blocks.2.dw.*", "update": "all"},
      {"pattern": "blocks.1.dw.bn.bias", "update": "none"}]})";
  const auto scheme = ParseSchemeJson(json, "s.json");
  ASSERT_TRUE(scheme.ok()) << scheme.status();
  const auto names = Learning(*scheme);
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_EQ(*names, Plus({"blocks.1.expand.bn.bias", "blocks.1.project.bn.bias",
                          "blocks.2.expand.bn.bias", "blocks.2.dw.weight", "blocks.2.dw.bn.weight",
                          "blocks.2.dw.bn.bias", "blocks.2.project.bn.bias"},
                         kClassifier));
}

TEST(SchemeJsonTest, TheClassifierLearnsWhateverTheFileSays) {
  const auto scheme =
      ParseSchemeJson(R"({"params": [{"pattern": "classifier.*", "update": "none"}]})", "s.json");
  ASSERT_TRUE(scheme.ok()) << scheme.status();
  EXPECT_EQ(*Learning(*scheme), kClassifier);
}

TEST(SchemeJsonTest, APatternThatMatchesNothingNamesTheNearest) {
  const auto scheme = ParseSchemeJson(
      R"({"params": [{"pattern": "blocks.1.expandd.*", "update": "all"}]})", "s.json");
  ASSERT_TRUE(scheme.ok()) << scheme.status();
  EXPECT_EQ(Learning(*scheme).status(),
            absl::InvalidArgumentError("scheme s.json: no parameter matches (got "
                                       "blocks.1.expandd.*, nearest is blocks.1.expand.weight)"));
}

TEST(SchemeJsonTest, AFileForAnotherModelIsRefused) {
  const auto scheme = ParseSchemeJson(R"({"model": "resnet8", "default": "bias"})", "s.json");
  ASSERT_TRUE(scheme.ok()) << scheme.status();
  Graph graph = SmallModel::Build(false);
  graph.name = "resnet18";
  EXPECT_EQ(ApplyScheme(graph, *scheme),
            absl::InvalidArgumentError(
                "scheme s.json: is for another model (got resnet18, want resnet8)"));
  graph.name = "resnet8";
  EXPECT_TRUE(ApplyScheme(graph, *scheme).ok());
}

TEST(SchemeJsonTest, BadFilesAreClearErrors) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is no valid JSON"},
      {"{", "is no valid JSON"},
      {"[]", "must be a JSON object"},
      {R"({"defualt": "all"})", "unknown key (got \"defualt\")"},
      {R"({"default": 1})", "\"default\" must be a string"},
      {R"({"default": "some"})",
       "unknown update (got some, want none, bias, all, channels(R) or "
       "channels(R,ORDER))"},
      {R"json({"default": "channels(0.5,last)"})json",
       "channels: unknown order (got last, want magnitude, first, random or random:SEED)"},
      {R"json({"default": "channels(2)"})json",
       "channels: the ratio is out of range (got 2, want 0 to 1)"},
      {R"({"model": 3})", "\"model\" must be a string"},
      {R"({"params": {}})", "\"params\" must be an array"},
      {R"({"params": [1]})", "each of \"params\" must be an object"},
      {R"({"params": [{"update": "all"}]})", "\"pattern\" must be a string"},
      {R"({"params": [{"pattern": "*"}]})", "\"update\" must be a string"},
      {R"({"params": [{"pattern": "*", "update": "all", "lr": 1}]})", "unknown key (got \"lr\")"},
  };
  for (const auto& [json, fact] : cases) {
    EXPECT_EQ(ParseSchemeJson(json, "s.json").status(),
              absl::InvalidArgumentError("scheme s.json: " + std::string(fact)));
  }
  EXPECT_EQ(ParseSchemeJson(R"json({"default": "lora(4)"})json", "s.json").status(),
            absl::UnimplementedError("scheme s.json: update lora(4): not built yet"));
}

TEST(SchemeJsonTest, IsReadFromAFile) {
  const test::TempFolder folder;
  const std::string path = folder.File("scheme.json");
  std::ofstream(path) << R"({"default": "bias"})";
  EXPECT_EQ(Learning(path), Learning("bias"));
}

TEST(SchemeJsonTest, FilesThatCannotBeReadAreErrors) {
  EXPECT_EQ(ParseScheme("missing/scheme.json").status(),
            absl::NotFoundError("scheme missing/scheme.json: cannot be read"));
  const test::TempFolder folder;
  const std::string path = folder.File("large.json");
  std::ofstream(path) << std::string((1 << 20) + 1, ' ');
  EXPECT_EQ(ParseScheme(path).status(),
            absl::InvalidArgumentError("scheme " + path + ": is larger than 1 MiB"));
}

}  // namespace
}  // namespace pocketune
