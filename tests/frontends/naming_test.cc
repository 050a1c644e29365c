// Files under other libraries' names.
#include "frontends/weights/naming.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontends/weights/fit.h"
#include "frontends/weights/names.h"
#include "tests/frontends/weights_test_util.h"

namespace pocketune {
namespace {

using test::Initialized;
using test::TensorsOf;
using test::WriteTensors;
using testing::Contains;
using testing::HasSubstr;

// Names that the library's own files have, and the parameter of the zoo that each is.
struct Sample {
  const char* theirs;
  const char* ours;
};

struct Case {
  const char* model;
  const char* owner;
  std::vector<Sample> samples;
};

std::vector<Case> Cases() {
  const std::vector<Sample> mcunet = {
      {"first_conv.conv.weight", "first_conv.weight"},
      {"first_conv.bn.running_var", "first_conv.bn.running_var"},
      {"blocks.0.mobile_inverted_conv.depth_conv.conv.weight", "blocks.0.depthwise.weight"},
      {"blocks.2.mobile_inverted_conv.inverted_bottleneck.bn.bias", "blocks.2.pointwise1.bn.bias"},
      {"blocks.2.mobile_inverted_conv.point_linear.conv.weight", "blocks.2.pointwise2.weight"},
      {"classifier.linear.bias", "classifier.bias"}};
  std::vector<Sample> proxyless = mcunet;
  proxyless.push_back({"feature_mix_layer.conv.weight", "feature_mix.weight"});
  const std::vector<Sample> lite = {
      {"conv_stem.weight", "_conv_stem.weight"},
      {"bn1.running_mean", "_bn0.running_mean"},
      {"blocks.0.0.conv_dw.weight", "_blocks.0._depthwise_conv.weight"},
      {"blocks.0.0.bn1.bias", "_blocks.0._bn1.bias"},
      {"blocks.0.0.conv_pw.weight", "_blocks.0._project_conv.weight"},
      {"blocks.1.0.conv_pw.weight", "_blocks.1._expand_conv.weight"},
      {"blocks.1.0.bn2.weight", "_blocks.1._bn1.weight"},
      {"blocks.1.1.bn3.weight", "_blocks.2._bn2.weight"},
      {"conv_head.weight", "_conv_head.weight"},
      {"bn2.bias", "_bn1.bias"},
      {"classifier.weight", "_fc.weight"}};
  std::vector<Sample> lite0 = lite, lite2 = lite;
  lite0.push_back({"blocks.6.0.conv_pwl.weight", "_blocks.15._project_conv.weight"});
  lite2.push_back({"blocks.1.2.conv_dw.weight", "_blocks.3._depthwise_conv.weight"});
  lite2.push_back({"blocks.6.0.conv_pwl.weight", "_blocks.20._project_conv.weight"});
  return {{"mobilenet_v2",
           "timm's",
           {{"conv_stem.weight", "features.0.0.weight"},
            {"bn1.weight", "features.0.1.weight"},
            {"blocks.0.0.conv_dw.weight", "features.1.conv.0.0.weight"},
            {"blocks.0.0.conv_pw.weight", "features.1.conv.1.weight"},
            {"blocks.0.0.bn2.weight", "features.1.conv.2.weight"},
            {"blocks.1.1.conv_pw.weight", "features.3.conv.0.0.weight"},
            {"blocks.3.3.conv_dw.weight", "features.10.conv.1.0.weight"},
            {"blocks.6.0.conv_pwl.weight", "features.17.conv.2.weight"},
            {"blocks.6.0.bn3.running_var", "features.17.conv.3.running_var"},
            {"conv_head.weight", "features.18.0.weight"},
            {"bn2.bias", "features.18.1.bias"},
            {"classifier.bias", "classifier.1.bias"}}},
          {"efficientnet_lite0", "timm's", lite0},
          {"efficientnet_lite2", "timm's", lite2},
          {"mcunet-in0", "MCUNet's", mcunet},
          {"proxylessnas-mobile", "MCUNet's", proxyless}};
}

// The model's tensors under the library's names.
std::vector<SafetensorsTensor> Translated(const Case& c, const std::string& before = "") {
  std::vector<SafetensorsTensor> tensors = TensorsOf(Initialized({.name = c.model}, 3));
  std::vector<std::string> params;
  for (const SafetensorsTensor& tensor : tensors) params.push_back(tensor.name);
  for (const Naming& naming : Namings()) {
    const auto theirs = naming.translate(params);
    if (!theirs) continue;
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i].name = before + (*theirs)[i];
  }
  return tensors;
}

TEST(NamingTest, NamesAreThoseOfTheLibrariesFiles) {
  for (const Case& c : Cases()) {
    const std::vector<SafetensorsTensor> ours = TensorsOf(Initialized({.name = c.model}, 3));
    const std::vector<SafetensorsTensor> theirs = Translated(c);
    for (const Sample& sample : c.samples) {
      size_t found = 0;
      for (size_t i = 0; i < ours.size(); ++i) {
        if (ours[i].name == sample.ours) found += theirs[i].name == sample.theirs;
      }
      EXPECT_EQ(found, 1u) << c.model << ": " << sample.ours;
    }
  }
}

TEST(NamingTest, FilesUnderThemLoadWithEveryValueAndSaySo) {
  for (const Case& c : Cases()) {
    const Graph source = Initialized({.name = c.model}, 3);
    for (const char* before : {"", "module."}) {
      absl::StatusOr<Graph> graph = BuildModel({.name = c.model});
      ASSERT_TRUE(graph.ok());
      const auto file = SafetensorsFile::Open(WriteTensors(Translated(c, before)));
      ASSERT_TRUE(file.ok()) << file.status();
      WeightsReport report;
      ASSERT_TRUE(LoadWeights(*graph, *file, &report).ok()) << c.model;
      EXPECT_EQ(report.naming.rfind(c.owner, 0), 0u) << report.naming;
      EXPECT_EQ(report.left_out, before);
      EXPECT_THAT(report.Lines(), Contains(HasSubstr("under other names, ")));
      for (size_t i = 0; i < source.values.size(); ++i) {
        if (source.values[i].kind != ValueKind::kParam) continue;
        EXPECT_EQ(*graph->values[i].data, *source.values[i].data) << source.values[i].name;
      }
      const auto fit = FindFit(*file, {.name = "mlp"});
      ASSERT_TRUE(fit.has_value()) << c.model;
      EXPECT_EQ(fit->name, c.model);
    }
  }
}

TEST(NamingTest, TheModelsOwnNamesHaveNoOwner) {
  const auto file =
      SafetensorsFile::Open(WriteTensors(TensorsOf(Initialized({.name = "mcunet-in0"}, 3))));
  absl::StatusOr<Graph> graph = BuildModel({.name = "mcunet-in0"});
  WeightsReport report;
  ASSERT_TRUE(LoadWeights(*graph, *file, &report).ok());
  EXPECT_EQ(report.naming, "");
}

}  // namespace
}  // namespace pocketune
