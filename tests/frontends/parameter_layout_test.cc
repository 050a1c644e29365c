// Parameters of one's own, of any rank, beside filters: in plans and in files of weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "frontends/weights/safetensors.h"
#include "graph/ir/model.h"
#include "pocketune/compiler.h"
#include "pocketune/cpu.h"
#include "pocketune/model_builder.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_name.h"

namespace pocketune {
namespace {

using test::TempFolder;
using ::testing::ElementsAre;
using Shapes = std::map<std::string, std::vector<int64_t>>;

constexpr int kBatch = 2;

// Pictures of 4x4 with 3 channels, on which parameters of one to six dimensions lie.
Outcome<Model> NetOfOwnParameters(const std::string& weights = "",
                                  WeightsReport* report = nullptr) {
  ModelBuilder net("own", kBatch);
  Tensor x = net.Input("tokens", {kBatch, 4, 4, 3});
  x = net.Conv(x, {.name = "conv", .out = 6, .kernel = {3, 3}, .act = Activation::kTanh});
  net.NextBlock();
  x = net.Depthwise(x, {.name = "depthwise", .kernel = {3, 3}});
  x = net.Add(x, net.Parameter("own.1", {6}));
  x = net.Add(x, net.Parameter("own.4", {1, 4, 4, 6}));
  x = net.Reshape(x, {kBatch, 16, 6});
  x = net.Add(x, net.Parameter("own.3", {1, 16, 6}));
  x = net.Add(x, net.Parameter("own.bias", {1, 16, 1}, ParameterKind::kBias));
  x = net.Reshape(x, {kBatch, 4, 4, 2, 3});
  x = net.Add(x, net.Parameter("own.5", {1, 4, 1, 2, 3}));
  x = net.Reshape(x, {kBatch, 2, 2, 4, 2, 3});
  x = net.Add(x, net.Parameter("own.6", {1, 2, 2, 1, 2, 3}));
  x = net.Activate(net.Reshape(x, {kBatch, 96}), Activation::kTanh);
  x = net.MatMul(x, net.Parameter("own.2", {96, 5}));
  net.EnterClassifier();
  net.Classify(net.Linear(x, {.name = "head", .out = 3}), {.label = "target"});
  return net.Build(/*seed=*/3, weights, report);
}

std::unique_ptr<Session> Open(const Model& model, const std::string& path,
                              const std::string& scheme = "full") {
  const Outcome<Plan> plan = Compile(model, {.scheme = scheme}, {});
  EXPECT_TRUE(plan.ok()) << plan.message();
  if (!plan.ok()) return nullptr;
  EXPECT_TRUE(plan->Write(path).ok());
  Result<std::unique_ptr<Session>> session = OpenCpuSession(path.c_str());
  EXPECT_TRUE(session.ok()) << session.status().message();
  return session.ok() ? std::move(session).value() : nullptr;
}

// The losses of so many steps on one batch.
std::vector<float> Train(Session& session, int steps) {
  std::vector<float> tokens(kBatch * 4 * 4 * 3), weight(kBatch, 1.0f), losses(steps);
  const std::vector<int32_t> target = {2, 0};
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::sin(0.7f * static_cast<float>(i));
  EXPECT_TRUE(session.Bind("tokens", tokens.data(), int64_t(tokens.size()) * 4).ok());
  EXPECT_TRUE(session.Bind("target", target.data(), 4 * kBatch).ok());
  EXPECT_TRUE(session.Bind("weight", weight.data(), 4 * kBatch).ok());
  for (float& loss : losses) EXPECT_TRUE(session.TrainStep(0.05, &loss).ok());
  return losses;
}

std::vector<NamedWeights> WeightsOf(const Session& session) {
  std::vector<NamedWeights> weights;
  for (const ParamInfo& param : session.params()) {
    if (param.state) continue;
    std::vector<float> values(static_cast<size_t>(param.shape.elems()));
    EXPECT_TRUE(session.ReadParam(param.name, values).ok());
    weights.push_back({std::string(param.name), param.shape, param.layout, std::move(values)});
  }
  return weights;
}

class OwnParametersTest : public testing::TestWithParam<const char*> {};

TEST_P(OwnParametersTest, OfAnyRankLearnAndGoThroughAFileBitForBit) {
  const TempFolder temp;
  const Outcome<Model> model = NetOfOwnParameters();
  ASSERT_TRUE(model.ok()) << model.message();
  const std::unique_ptr<Session> session = Open(model.value(), temp.File("plan"), GetParam());
  ASSERT_NE(session, nullptr);
  const std::vector<float> losses = Train(*session, 30);
  EXPECT_LT(losses.back(), losses.front());

  const std::vector<NamedWeights> weights = WeightsOf(*session);
  ASSERT_TRUE(WriteWeights(temp.File("w"), weights).ok());
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(temp.File("w"));
  ASSERT_TRUE(file.ok()) << file.status();
  Shapes shapes;
  for (const WeightsEntry& entry : file->entries()) shapes[entry.name] = entry.shape;
  EXPECT_THAT(shapes["conv.weight"], ElementsAre(6, 3, 3, 3));
  EXPECT_THAT(shapes["depthwise.weight"], ElementsAre(6, 1, 3, 3));
  EXPECT_THAT(shapes["own.3"], ElementsAre(1, 16, 6));
  EXPECT_THAT(shapes["own.bias"], ElementsAre(1, 16, 1));
  EXPECT_THAT(shapes["own.4"], ElementsAre(1, 4, 4, 6));
  EXPECT_THAT(shapes["own.5"], ElementsAre(1, 4, 1, 2, 3));
  EXPECT_THAT(shapes["own.6"], ElementsAre(1, 2, 2, 1, 2, 3));

  WeightsReport report;
  const Outcome<Model> loaded = NetOfOwnParameters(temp.File("w"), &report);
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_EQ(report.loaded, static_cast<int>(weights.size()));
  const std::unique_ptr<Session> again = Open(loaded.value(), temp.File("plan2"), GetParam());
  ASSERT_NE(again, nullptr);
  for (const ParamInfo& param : session->params()) {
    if (param.state) continue;
    std::vector<float> want(static_cast<size_t>(param.shape.elems())), got(want.size());
    ASSERT_TRUE(session->ReadParam(param.name, want).ok());
    ASSERT_TRUE(again->ReadParam(param.name, got).ok());
    EXPECT_EQ(got, want) << param.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, OwnParametersTest,
                         testing::Values("full", "head", "bias", "bias:1", "blocks:1", "last:1",
                                         "channels(0.5)"),
                         [](const auto& info) { return test::TestName(info.param); });

TEST(ParameterLayoutTest, APlanSaysWhichParametersAreFilters) {
  const TempFolder temp;
  const std::unique_ptr<Session> session = Open(NetOfOwnParameters().value(), temp.File("plan"));
  ASSERT_NE(session, nullptr);
  for (const ParamInfo& param : session->params()) {
    const ParamLayout want = param.name == "conv.weight"        ? ParamLayout::kConv
                             : param.name == "depthwise.weight" ? ParamLayout::kDepthwise
                                                                : ParamLayout::kRows;
    EXPECT_EQ(param.layout, want) << param.name;
  }
}

TEST(ParameterLayoutTest, WeightsThatDoNotFitAreNotWritten) {
  const TempFolder temp;
  const auto code = [&](std::vector<NamedWeights> weights) {
    return WriteWeights(temp.File("w"), std::move(weights)).code();
  };
  EXPECT_EQ(code({{"a", {2}, ParamLayout::kRows, {1}}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({{"a", {2}, ParamLayout::kConv, {1, 2}}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({{"a", {}, ParamLayout::kRows, {1}}, {"a", {}, ParamLayout::kRows, {1}}}),
            StatusCode::kInvalidArgument);
  EXPECT_FALSE(SafetensorsFile::Open(temp.File("w")).ok());
  EXPECT_EQ(WriteWeights(temp.File("no/w"), {{"a", {1}, ParamLayout::kRows, {1}}}).code(),
            StatusCode::kUnavailable);
}

TEST(ParameterLayoutTest, AFilterOfOnesOwnIsReadInPyTorchsOrder) {
  const TempFolder temp;
  ASSERT_TRUE(WriteSafetensors(temp.File("w"),
                               {{"own", {2, 3, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
                                {"plain", {2, 1, 2, 3}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
                                {"head.weight", {2, 12}, std::vector<float>(24)},
                                {"head.bias", {2}, {0, 0}}})
                  .ok());
  ModelBuilder net("m", 1);
  const Tensor own =
      net.Parameter("own", {2, 1, 2, 3}, ParameterKind::kWeight, {}, ParamLayout::kConv);
  const Tensor both = net.Add(own, net.Parameter("plain", {2, 1, 2, 3}));
  const Tensor x = net.Multiply(net.Input("x", {1, 12}), net.Reshape(both, {1, 12}));
  net.Classify(net.Linear(x, {.name = "head", .out = 2}));
  const Outcome<Model> model = net.Build(1, temp.File("w"));
  ASSERT_TRUE(model.ok()) << model.message();
  const Graph& graph = model.value().impl().forward;
  const auto values = [&](const char* name) {
    return *graph.value(graph.FindValue(name, ValueKind::kParam)).data;
  };
  EXPECT_THAT(values("own"), ElementsAre(0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11));
  EXPECT_THAT(values("plain"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

}  // namespace
}  // namespace pocketune
