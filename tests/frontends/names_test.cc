#include "frontends/weights/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/frontends/weights_test_util.h"

namespace pocketune {
namespace {

using test::Initialized;
using test::TensorsOf;
using test::WriteTensors;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

using Tensors = std::vector<SafetensorsTensor>;

const ModelSpec kSpec = {.name = "resnet8"};

Tensors Renamed(Tensors tensors, const std::string& before) {
  for (SafetensorsTensor& tensor : tensors) tensor.name = before + tensor.name;
  return tensors;
}

Outcome<ZooModel> Load(const Tensors& tensors, WeightsReport* report) {
  return BuildZooModel(kSpec, WriteTensors(tensors), 5, report);
}

// Loads the tensors under such names, and whether each parameter has its value.
WeightsReport ExpectLoaded(const Tensors& tensors) {
  const Graph source = Initialized(kSpec, 3);
  absl::StatusOr<Graph> graph = BuildModel(kSpec);
  WeightsReport report;
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(WriteTensors(tensors));
  const absl::Status status = LoadWeights(*graph, *file, &report);
  EXPECT_TRUE(status.ok()) << status;
  for (size_t i = 0; status.ok() && i < source.values.size(); ++i) {
    if (source.values[i].kind != ValueKind::kParam) continue;
    EXPECT_EQ(*graph->values[i].data, *source.values[i].data) << source.values[i].name;
  }
  return report;
}

TEST(NamesTest, WordsBeforeEveryNameAreLeftOutAndSaid) {
  const Tensors plain = TensorsOf(Initialized(kSpec, 3));
  for (const char* before : {"module.", "model.", "state_dict.", "_orig_mod.", "net.backbone.",
                             "state_dict.model.", "module.module.", "a b."}) {
    const WeightsReport report = ExpectLoaded(Renamed(plain, before));
    EXPECT_EQ(report.left_out, before);
    EXPECT_THAT(report.extra, IsEmpty());
    EXPECT_THAT(report.Lines(), Contains(HasSubstr("without \"" + std::string(before) + "\"")));
  }
  const WeightsReport report = ExpectLoaded(plain);
  EXPECT_EQ(report.left_out, "");
  EXPECT_EQ(report.Lines().size(), 1u);
}

TEST(NamesTest, WhatStandsBesideTheModelIsExtra) {
  Tensors tensors = Renamed(TensorsOf(Initialized(kSpec, 3)), "state_dict.");
  tensors.push_back({"optimizer.step", {1}, {7}});
  EXPECT_THAT(ExpectLoaded(tensors).extra, testing::ElementsAre("optimizer.step"));
}

TEST(NamesTest, WordsOfWrappersAreLeftOutWithinNamesToo) {
  Tensors tensors = TensorsOf(Initialized(kSpec, 3));
  for (SafetensorsTensor& tensor : tensors) {
    const size_t dot = tensor.name.find('.');
    if (tensor.name.rfind("classifier", 0) != 0) tensor.name.insert(dot + 1, "module.");
  }
  EXPECT_EQ(ExpectLoaded(tensors).left_out, "module.");
}

TEST(NamesTest, TheModelsOwnNamesGoFirst) {
  const Tensors plain = TensorsOf(Initialized(kSpec, 3));
  Tensors both = plain;
  for (SafetensorsTensor tensor : Renamed(TensorsOf(Initialized(kSpec, 4)), "ema.")) {
    both.push_back(std::move(tensor));
  }
  const WeightsReport report = ExpectLoaded(both);
  EXPECT_EQ(report.left_out, "");
  EXPECT_EQ(report.extra.size(), plain.size());
}

TEST(NamesTest, OfTwoModelsInOneFileNoneIsGuessed) {
  Tensors both = Renamed(TensorsOf(Initialized(kSpec, 3)), "model.");
  for (SafetensorsTensor tensor : Renamed(TensorsOf(Initialized(kSpec, 4)), "ema.")) {
    both.push_back(std::move(tensor));
  }
  WeightsReport report;
  const Outcome<ZooModel> model = Load(both, &report);
  EXPECT_EQ(model.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(model.message(), HasSubstr("two sets of tensors fit (got ema.* and model.*"));
}

TEST(NamesTest, AMissingTensorIsNamedAsTheModelDoes) {
  Tensors tensors = Renamed(TensorsOf(Initialized(kSpec, 3)), "module.");
  tensors.erase(tensors.begin());
  WeightsReport report;
  EXPECT_THAT(Load(tensors, &report).message(), HasSubstr("missing, the first is stem.weight"));
}

}  // namespace
}  // namespace pocketune
