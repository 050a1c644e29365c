// The published schemes on the zoo's models: the memory that their paper states, byte for byte, and
// what their plans cost.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "frontends/zoo/zoo.h"
#include "pocketune/compiler.h"
#include "pocketune/zoo.h"
#include "sparse_bp/memory_model.h"
#include "sparse_bp/scheme.h"
#include "tests/support/test_name.h"

namespace pocketune {
namespace {

struct Published {
  const char* model;
  const char* scheme;
  int64_t bytes;
  int64_t weights;
  int64_t biases;
};

// Of MobileNetV2 as MCUNetV3's code gives them; of the others from its formula, and each label is
// the number of whole KiB.
constexpr Published kPublished[] = {
    {"mbv2-w0.35", "mcunetv3:mbv2-w0.35-49", 51002, 22410, 3128},
    {"mbv2-w0.35", "mcunetv3:mbv2-w0.35-73", 75648, 39072, 3688},
    {"mbv2-w0.35", "mcunetv3:mbv2-w0.35-99", 101792, 55920, 4168},
    {"mbv2-w0.35", "mcunetv3:mbv2-w0.35-123", 126528, 72384, 4792},
    {"mbv2-w0.35", "mcunetv3:mbv2-w0.35-138", 141568, 81792, 5000},
    {"mcunet-5fps", "mcunetv3:mcunet-5fps-49", 50944, 12096, 4592},
    {"mcunet-5fps", "mcunetv3:mcunet-5fps-74", 76608, 29440, 4752},
    {"mcunet-5fps", "mcunetv3:mcunet-5fps-99", 102240, 52480, 4792},
    {"mcunet-5fps", "mcunetv3:mcunet-5fps-124", 127968, 75328, 5112},
    {"mcunet-5fps", "mcunetv3:mcunet-5fps-148", 151968, 98560, 4952},
    {"proxyless-w0.3", "mcunetv3:proxyless-w0.3-49", 50848, 20736, 3488},
    {"proxyless-w0.3", "mcunetv3:proxyless-w0.3-74", 76672, 36288, 4056},
    {"proxyless-w0.3", "mcunetv3:proxyless-w0.3-98", 100896, 62976, 3744},
    {"proxyless-w0.3", "mcunetv3:proxyless-w0.3-120", 123136, 76800, 4296},
    {"proxyless-w0.3", "mcunetv3:proxyless-w0.3-148", 151776, 89088, 4976},
    {"mbv2-w0.35", "last:3", 75936, 59472, 784},
    {"mbv2-w0.35", "last:6", 132608, 100128, 1512},
    {"mbv2-w0.35", "last:12", 229104, 159408, 2680},
    {"mbv2-w0.35", "last:51", 1337792, 238688, 5760},
    {"mbv2-w0.35", "full", 1337792, 238688, 5760},
    {"mbv2-w0.35", "bias", 137440, 0, 5760},
    {"mbv2-w0.35", "head", 112, 0, 0},
    {"mcunet-5fps", "last:6", 282976, 235968, 2176},
    {"mcunet-5fps", "last:12", 458800, 365616, 3616},
    {"mcunet-5fps", "bias", 124192, 0, 6008},
    {"proxyless-w0.3", "last:12", 272800, 216192, 2592},
    {"proxyless-w0.3", "bias", 116160, 0, 5416},
};

class PublishedSchemesTest : public testing::TestWithParam<Published> {};

TEST_P(PublishedSchemesTest, NeedTheMemoryThatThePaperStates) {
  const Published& want = GetParam();
  absl::StatusOr<Graph> graph = BuildModel({.name = want.model});
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto scheme = ParseScheme(want.scheme);
  ASSERT_TRUE(scheme.ok()) << scheme.status();
  const absl::Status status = ApplyScheme(*graph, *scheme);
  ASSERT_TRUE(status.ok()) << status;
  const ExtraMemory memory = McunetV3Memory(*graph);
  EXPECT_EQ(memory.bytes, want.bytes);
  EXPECT_EQ(memory.trained_weights, want.weights);
  EXPECT_EQ(memory.trained_biases, want.biases);
  const std::string text = want.scheme;
  if (text.rfind("mcunetv3:", 0) == 0) {
    EXPECT_EQ(std::to_string(memory.bytes / 1024), text.substr(text.rfind('-') + 1));
  }
}

INSTANTIATE_TEST_SUITE_P(All, PublishedSchemesTest, testing::ValuesIn(kPublished),
                         [](const auto& info) {
                           return test::TestName(std::string(info.param.model) + " " +
                                                 info.param.scheme);
                         });

TEST(PublishedSchemesListTest, HasFifteenNames) {
  const std::vector<std::string> names = McunetV3SchemeNames();
  EXPECT_EQ(names.size(), 15u);
  for (const std::string& name : names) {
    EXPECT_TRUE(std::any_of(std::begin(kPublished), std::end(kPublished), [&](const Published& p) {
      return p.scheme == "mcunetv3:" + name;
    })) << name;
  }
}

// Names of what learns beside the classifier; of a part of a weight with its number of channels.
std::vector<std::string> Learning(const char* model, const std::string& text) {
  absl::StatusOr<Graph> graph = BuildModel({.name = model});
  EXPECT_TRUE(graph.ok()) << graph.status();
  const auto scheme = ParseScheme(text);
  EXPECT_TRUE(scheme.ok()) << scheme.status();
  const absl::Status status = ApplyScheme(*graph, *scheme);
  EXPECT_TRUE(status.ok()) << status;
  std::vector<std::string> names;
  for (const Value& value : graph->values) {
    if (value.kind == ValueKind::kParam && value.trainable) names.push_back(value.name);
  }
  return names;
}

TEST(PockEngineSchemeTest, LearnsBiasesAndFirstPointwiseWeightsOfTheLastBlocks) {
  EXPECT_EQ(Learning("mobilenet_v2", "pockengine"),
            Learning("mobilenet_v2", "features.1[1-7].*=bias,features.1[1-7].conv.0.0.weight=all"));
  EXPECT_EQ(Learning("mbv2-w0.35", "pockengine"),
            Learning("mbv2-w0.35", "blocks.1[0-6].*=bias,blocks.1[0-6].pointwise1.weight=all"));
  EXPECT_EQ(Learning("resnet50", "pockengine"),
            Learning("resnet50",
                     "layer3.[1-5].*=bias,layer4.*=bias,layer3.[1-5].conv1.weight=all,"
                     "layer4.*.conv1.weight=all"));
  EXPECT_EQ(Learning("mcunet-5fps", "pockengine"),
            Learning("mcunet-5fps",
                     "blocks.[7-9].*=bias,blocks.1[0-3].*=bias,blocks.[89].pointwise1.weight=all,"
                     "blocks.1[01].pointwise1.weight=all"));
}

PlanFigures FiguresOf(const char* model, const std::string& scheme) {
  Outcome<ZooModel> built =
      BuildZooModel({.name = model, .resolution = 64, .classes = 10}, "", 1, nullptr);
  EXPECT_TRUE(built.ok()) << built.message();
  Outcome<Plan> plan = Compile(built->model, {.scheme = scheme}, {});
  EXPECT_TRUE(plan.ok()) << plan.message();
  return plan->figures;
}

// One weight, 240 -> 96 channels at 2x2 pixels: what its channels save in the plan.
TEST(ChannelSchemeTest, PlansCostWhatTheirChannelsDo) {
  const std::string weight = "blocks.10.pointwise2.weight=";
  const PlanFigures all = FiguresOf("mcunet-5fps", weight + "all");
  const PlanFigures half = FiguresOf("mcunet-5fps", weight + "channels(0.5)");
  const PlanFigures quarter = FiguresOf("mcunet-5fps", weight + "channels(0.25)");
  const int64_t channel = 96, pixels = 2 * 2;
  EXPECT_EQ(all.trainable_params - half.trainable_params, 120 * channel);
  EXPECT_EQ(half.trainable_params - quarter.trainable_params, 60 * channel);
  EXPECT_EQ(all.optimizer_bytes - half.optimizer_bytes, 120 * channel * 4);
  EXPECT_EQ(half.optimizer_bytes - quarter.optimizer_bytes, 60 * channel * 4);
  EXPECT_EQ(all.backward_macs - half.backward_macs, 120 * channel * pixels);
  EXPECT_EQ(half.backward_macs - quarter.backward_macs, 60 * channel * pixels);
  EXPECT_EQ(all.param_bytes, half.param_bytes);  // the weight stays one parameter
  EXPECT_LE(half.arena_bytes, all.arena_bytes);
}

}  // namespace
}  // namespace pocketune
