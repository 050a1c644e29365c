#include "frontends/zoo/zoo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "frontends/initialize.h"
#include "graph/ir/text_distance.h"
#include "tests/support/test_name.h"

namespace pocketune {
namespace {

struct Oracle {
  const char* name;
  double width;
  int resolution;
  int channels;
  int classes;
  int64_t params;
  int64_t macs;  // 0: not published
};

// Published counts: two per batch-norm channel, no bias before a batch norm.
constexpr Oracle kOracles[] = {
    {"mobilenet_v2", 1.0, 224, 3, 1000, 3504872, 300774272},
    {"mobilenet_v2", 0.35, 128, 3, 1000, 1677128, 20220672},
    {"mobilenet_v2", 0.5, 224, 3, 1000, 1968680, 97131840},
    {"mobilenet_v2", 1.4, 224, 3, 1000, 6108776, 582195824},
    {"mobilenet_v1", 0.25, 96, 3, 2, 213586, 7489664},
    {"mobilenet_v1", 1.0, 224, 3, 1000, 4231976, 568740352},
    {"resnet8", 0, 32, 3, 10, 77946, 12501632},
    {"resnet18", 0, 224, 3, 1000, 11689512, 0},
    {"resnet50", 0, 224, 3, 1000, 25557032, 4089184256},
    {"efficientnet_lite0", 0, 224, 3, 1000, 4652008, 385187552},
    {"efficientnet_lite1", 0, 240, 3, 1000, 5416680, 600185232},
    {"efficientnet_lite2", 0, 260, 3, 1000, 6092072, 859736272},
    {"ds-cnn", 0, 0, 1, 12, 23180, 2656768},
    {"ad-autoencoder", 0, 0, 640, 640, 266896, 264192},
    {"mcunet-in0", 0, 48, 3, 1000, 749840, 6364224},
    {"mcunet-in1", 0, 96, 3, 1000, 636232, 12790096},
    {"mcunet-in2", 0, 160, 3, 1000, 729392, 67287200},
    {"mcunet-in3", 0, 176, 3, 1000, 737408, 81785520},
    {"mcunet-in4", 0, 160, 3, 1000, 1732640, 125874400},
    {"mcunet-5fps", 0, 128, 3, 1000, 636232, 22613504},
    {"mbv2-w0.35", 0, 128, 3, 1000, 363208, 16758912},
    {"proxyless-w0.3", 0, 128, 3, 1000, 428648, 18715904},
    {"proxylessnas-mobile", 0, 224, 3, 1000, 4080512, 320427584},
};

class ZooTest : public testing::TestWithParam<Oracle> {};

TEST_P(ZooTest, IsExactToTheParameterAndTheMac) {
  const Oracle& oracle = GetParam();
  const absl::StatusOr<Graph> graph = BuildModel({.name = oracle.name,
                                                  .width = oracle.width,
                                                  .resolution = oracle.resolution,
                                                  .input_channels = oracle.channels,
                                                  .classes = oracle.classes});
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(CountParams(*graph), oracle.params);
  if (oracle.macs != 0) {
    EXPECT_EQ(MacsOf(*graph, Phase::kForward), oracle.macs);
  }
}

INSTANTIATE_TEST_SUITE_P(Published, ZooTest, testing::ValuesIn(kOracles), [](const auto& info) {
  const Oracle& o = info.param;
  return test::TestName(absl::StrCat(o.name, " w", o.width, " r", o.resolution));
});

TEST(ZooTest, EveryEntryBuildsWithItsDefaults) {
  for (const ZooEntry& entry : Zoo()) {
    const absl::StatusOr<Graph> graph = BuildModel({.name = entry.name, .batch = 2});
    ASSERT_TRUE(graph.ok()) << entry.name << ": " << graph.status();
    const ValueId logits = graph->FindOutput("logits");
    ASSERT_NE(logits, kNone);
    EXPECT_EQ(graph->shape(logits), (Shape{2, entry.classes})) << entry.name;
  }
}

// TensorFlow's SAME: what is odd of the padding goes to the bottom and right.
TEST(ZooTest, EfficientNetLitePadsAndNormsAsTensorFlowDoes) {
  const absl::StatusOr<Graph> graph = BuildModel({.name = "efficientnet_lite1"});
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto pads_of = [&](const std::string& layer) -> std::vector<int> {
    for (const Node& node : graph->nodes) {
      const auto* conv = std::get_if<ConvAttrs>(&node.attrs);
      if (conv == nullptr || node.loc != layer) continue;
      return {conv->pad[0], conv->pad[1], conv->pad[2], conv->pad[3]};
    }
    return {};
  };
  using testing::ElementsAre;
  EXPECT_THAT(pads_of("_conv_stem"), ElementsAre(0, 1, 0, 1));                  // 240 to 120
  EXPECT_THAT(pads_of("_blocks.0._depthwise_conv"), ElementsAre(1, 1, 1, 1));   // 120
  EXPECT_THAT(pads_of("_blocks.4._depthwise_conv"), ElementsAre(1, 2, 1, 2));   // 60 to 30
  EXPECT_THAT(pads_of("_blocks.7._depthwise_conv"), ElementsAre(0, 1, 0, 1));   // 30 to 15
  EXPECT_THAT(pads_of("_blocks.15._depthwise_conv"), ElementsAre(2, 2, 2, 2));  // 15 to 8
  for (const Node& node : graph->nodes) {
    const auto* norm = std::get_if<NormAttrs>(&node.attrs);
    EXPECT_TRUE(norm == nullptr || norm->eps == 1e-3) << node.loc;
  }
}

TEST(ZooTest, FoldedModelsHaveABiasWhereOthersHaveABatchNorm) {
  const absl::StatusOr<Graph> graph = BuildModel({.name = "mbv2-w0.35", .folded_norm = true});
  ASSERT_TRUE(graph.ok());
  EXPECT_NE(graph->FindValue("first_conv.bias", ValueKind::kParam), kNone);
  EXPECT_EQ(graph->FindValue("first_conv.bn.weight", ValueKind::kParam), kNone);
}

TEST(ZooTest, NamesTheNearestModel) {
  EXPECT_THAT(std::string(FindModel("mobilnet_v2").status().message()),
              testing::HasSubstr("nearest is mobilenet_v2"));
}

TEST(ZooTest, RefusesSizesOutOfRange) {
  EXPECT_FALSE(BuildModel({.name = "mobilenet_v2", .resolution = 5000}).ok());
  EXPECT_FALSE(BuildModel({.name = "mobilenet_v2", .classes = -1}).ok());
  EXPECT_FALSE(BuildModel({.name = "resnet8", .width = 0.5}).ok());
  EXPECT_FALSE(BuildModel({.name = "small-cnn", .resolution = 2}).ok());
}

TEST(ZooTest, InitialWeightsDependOnSeedAndNameAlone) {
  absl::StatusOr<Graph> a = BuildModel({.name = "resnet8"});
  absl::StatusOr<Graph> b = BuildModel({.name = "resnet8", .batch = 3});
  ASSERT_TRUE(a.ok() && b.ok());
  InitializeParams(*a, 7);
  InitializeParams(*b, 7);
  const auto data = [](const Graph& g, const char* name) {
    return *g.value(g.FindValue(name, ValueKind::kParam)).data;
  };
  EXPECT_EQ(data(*a, "stem.weight"), data(*b, "stem.weight"));
  EXPECT_EQ(data(*a, "stem_bn.weight"), std::vector<float>(16, 1.0f));
  EXPECT_NE(data(*a, "stack1.conv1.weight"), data(*a, "stack1.conv2.weight"));
  absl::StatusOr<Graph> c = BuildModel({.name = "resnet8"});
  ASSERT_TRUE(c.ok());
  InitializeParams(*c, 8);
  EXPECT_NE(data(*a, "stem.weight"), data(*c, "stem.weight"));
}

TEST(TextDistanceTest, PicksTheFewestEdits) {
  EXPECT_EQ(Nearest("blok", {"head", "block", "bias"}), "block");
  EXPECT_EQ(Nearest("x", {}), "");
}

}  // namespace
}  // namespace pocketune
