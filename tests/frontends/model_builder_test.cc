#include "pocketune/model_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "frontends/weights/safetensors.h"
#include "graph/ir/model.h"
#include "pocketune/compiler.h"
#include "pocketune/cpu.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_name.h"

namespace pocketune {
namespace {

using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kBatch = 4;

// Two inputs of other names than the zoo's, an attention over the rows of a feature map, a position
// embedding, and a projection that is used twice: nothing that the zoo has.
void WriteAttentionNet(ModelBuilder& net, bool say_sections) {
  const Tensor picture = net.Input("picture", {kBatch, 8, 8, 3});
  const Tensor extra = net.Input("extra", {kBatch, 6});
  if (say_sections) net.EnterStem();
  Tensor x = net.Conv(picture, {.name = "patch",
                                .norm = "patch_norm",
                                .out = 12,
                                .kernel = {2, 2},
                                .stride = 2,
                                .padding = Padding::kValid,
                                .act = Activation::kHardSwish});
  x = net.Add(x, net.Parameter("grid", {1, 4, 4, 12}));
  x = net.Reshape(x, {kBatch, 16, 12});
  x = net.Add(x, net.Parameter("position", {1, 16, 12}));
  for (int i = 0; i < 2; ++i) {
    if (say_sections) net.NextBlock();
    const std::string path = "layers." + std::to_string(i);
    const Tensor project = net.Parameter(path + ".project", {12, 12});
    const Tensor q = net.MatMul(x, project, /*transpose_b=*/true);
    const Tensor scores = net.Scale(net.MatMul(q, x, /*transpose_b=*/true), 1.0 / std::sqrt(12.0));
    const Tensor mixed = net.MatMul(net.Softmax(scores), x);
    x = net.Add(x, net.MatMul(mixed, project));  // the same parameter again
    x = net.Linear(x, {.name = path + ".feed", .out = 12, .act = Activation::kRelu});
  }
  if (say_sections) net.EnterTail();
  x = net.Concat({net.Mean(x, 1), net.Linear(extra, {.name = "side", .out = 4})}, -1);
  if (say_sections) net.EnterClassifier();
  net.Classify(net.Linear(x, {.name = "head", .out = 3}), {.prediction = "scores"});
}

Outcome<Model> AttentionNet(bool say_sections = true) {
  ModelBuilder net("attention", kBatch);
  WriteAttentionNet(net, say_sections);
  return net.Build(/*seed=*/3);
}

// A step of training on the CPU and one of prediction.
class BuiltModelTest : public testing::TestWithParam<const char*> {};

TEST_P(BuiltModelTest, ThatIsNotInTheZooLearns) {
  const TempFolder temp;
  const Outcome<Model> model = AttentionNet();
  ASSERT_TRUE(model.ok()) << model.message();
  const Outcome<Plan> plan = Compile(model.value(), {.scheme = GetParam()}, {.threads = 2});
  ASSERT_TRUE(plan.ok()) << plan.message();
  ASSERT_TRUE(plan->Write(temp.File("plan")).ok());
  Result<std::unique_ptr<Session>> session = OpenCpuSession(temp.File("plan").c_str());
  ASSERT_TRUE(session.ok()) << session.status().message();
  Session& s = *session.value();

  std::vector<float> picture(kBatch * 8 * 8 * 3), extra(kBatch * 6), weight(kBatch, 1.0f);
  std::vector<int32_t> label = {0, 1, 2, 1};
  for (size_t i = 0; i < picture.size(); ++i) picture[i] = std::sin(0.7f * static_cast<float>(i));
  for (size_t i = 0; i < extra.size(); ++i) extra[i] = std::cos(1.3f * static_cast<float>(i));
  ASSERT_TRUE(s.Bind("picture", picture.data(), picture.size() * 4).ok());
  ASSERT_TRUE(s.Bind("extra", extra.data(), extra.size() * 4).ok());
  ASSERT_TRUE(s.Bind("label", label.data(), label.size() * 4).ok());
  ASSERT_TRUE(s.Bind("weight", weight.data(), weight.size() * 4).ok());
  float first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    ASSERT_TRUE(s.TrainStep(0.05, step == 0 ? &first : &last).ok());
  }
  EXPECT_LT(last, 0.8f * first);
  ASSERT_TRUE(s.Predict().ok());
  std::vector<float> scores(kBatch * 3);
  ASSERT_TRUE(s.Read("eval", "scores", scores).ok());
  for (float score : scores) EXPECT_TRUE(std::isfinite(score));
}

INSTANTIATE_TEST_SUITE_P(Schemes, BuiltModelTest,
                         testing::Values("full", "head", "bias", "bias:1", "blocks:1", "last:1",
                                         "channels(0.5)"),
                         [](const auto& info) { return test::TestName(info.param); });

std::map<std::string, std::string> SectionsOf(const Model& model) {
  std::map<std::string, std::string> sections;
  for (const Value& value : model.impl().forward.values) {
    if (value.kind != ValueKind::kParam) continue;
    const char* const names[] = {"stem", "block", "tail", "classifier"};
    std::string& text = sections[value.name] = names[static_cast<int>(value.section)];
    if (value.section == Section::kBlock) text += std::to_string(value.block);
  }
  return sections;
}

TEST(ModelBuilderTest, SectionsFollowFromPathsAsIfTheyHadBeenSaid) {
  const Outcome<Model> said = AttentionNet(true), inferred = AttentionNet(false);
  ASSERT_TRUE(said.ok() && inferred.ok());
  EXPECT_EQ(SectionsOf(inferred.value()), SectionsOf(said.value()));
  const auto sections = SectionsOf(inferred.value());
  EXPECT_EQ(sections.at("position"), "stem");
  EXPECT_EQ(sections.at("layers.1.feed.weight"), "block1");
  EXPECT_EQ(sections.at("side.bias"), "tail");
  EXPECT_EQ(sections.at("head.weight"), "classifier");
}

TEST(ModelBuilderTest, ATiedParameterIsOneParameter) {
  const Outcome<Model> model = AttentionNet();
  int found = 0;
  for (const Value& value : model.value().impl().forward.values) {
    if (value.name == "layers.0.project") ++found;
  }
  EXPECT_EQ(found, 1);
}

TEST(ModelBuilderTest, ValuesComeFromTheCallerTheFileOrTheSeed) {
  const std::vector<float> given = {1, 2, 3, 4, 5, 6};
  const auto build = [&](const std::string& weights, WeightsReport* report) {
    ModelBuilder net("m", 2);
    const Tensor x = net.Input("x", {2, 3});
    const Tensor y = net.MatMul(x, net.Parameter("own", {3, 2}, ParameterKind::kWeight, given));
    net.Classify(net.Linear(y, {.name = "head", .out = 2}));
    return net.Build(7, weights, report);
  };
  const auto values = [](const Model& model, const char* name) {
    const Graph& graph = model.impl().forward;
    return *graph.value(graph.FindValue(name, ValueKind::kParam)).data;
  };
  const Outcome<Model> seeded = build("", nullptr);
  ASSERT_TRUE(seeded.ok()) << seeded.message();
  EXPECT_EQ(values(seeded.value(), "own"), given);
  EXPECT_THAT(values(seeded.value(), "head.bias"), ElementsAre(0, 0));

  const TempFolder temp;
  ASSERT_TRUE(WriteSafetensors(temp.File("w"), {{"own", {3, 2}, {6, 5, 4, 3, 2, 1}},
                                                {"head.weight", {2, 2}, {1, 0, 0, 1}},
                                                {"head.bias", {2}, {8, 9}}})
                  .ok());
  WeightsReport report;
  const Outcome<Model> loaded = build(temp.File("w"), &report);
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_EQ(report.loaded, 3);
  EXPECT_THAT(values(loaded.value(), "own"), ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(values(loaded.value(), "head.bias"), ElementsAre(8, 9));
  EXPECT_EQ(build(temp.File("none"), nullptr).code(), StatusCode::kNotFound);
}

TEST(ModelBuilderTest, AGroupedAndDilatedConvolutionHasPyTorchsShape) {
  ModelBuilder net("m", 2);
  Tensor x = net.Input("image", {2, 9, 9, 8});
  x = net.Conv(x, {.name = "c", .out = 6, .kernel = {3, 3}, .dilation = 2, .groups = 2});
  EXPECT_EQ(net.shape(x), (Shape{2, 9, 9, 6}));  // (3 - 1) * 2 + 1 = 5, padded by 2
  net.Classify(net.Linear(net.GlobalAveragePool(x), {.name = "head", .out = 2}));
  const Outcome<Model> model = net.Build(1);
  ASSERT_TRUE(model.ok()) << model.message();
  const Graph& graph = model.value().impl().forward;
  EXPECT_EQ(graph.shape(graph.FindValue("c.weight", ValueKind::kParam)), (Shape{6, 3, 3, 4}));
  EXPECT_TRUE(Compile(model.value(), {}, {}).ok());
}

struct Mistake {
  const char* name;
  std::function<void(ModelBuilder&)> make;
  const char* message;
};

class MistakeTest : public testing::TestWithParam<Mistake> {};

TEST_P(MistakeTest, IsAnErrorOfBuildThatNamesIt) {
  ModelBuilder net("m", 2);
  GetParam().make(net);
  const Outcome<Model> model = net.Build(1);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(model.message(), HasSubstr(GetParam().message));
  EXPECT_THAT(model.message(), HasSubstr("m: "));
}

const Mistake kMistakes[] = {
    {"NothingPredicted",
     [](ModelBuilder& net) {
       net.Input("x", {2, 3});
     },
     "predicts nothing"},
    {"TwoPredictions",
     [](ModelBuilder& net) {
       const Tensor x = net.Linear(net.Input("x", {2, 3}), {.name = "a", .out = 2});
       net.Classify(x);
       net.Reconstruct(x, {.prediction = "more"});
     },
     "learns something already"},
    {"OtherBatch",
     [](ModelBuilder& net) {
       net.Input("x", {3, 3});
     },
     "x: the first dimension"},
    {"NoRoom",
     [](ModelBuilder& net) {
       net.Input("x", {2, 0});
     },
     "x: dimensions"},
    {"NameOfTheLosses",
     [](ModelBuilder& net) {
       net.Classify(net.Linear(net.Input("label", {2, 3}), {.name = "a", .out = 2}));
     },
     "label: the loss needs an input"},
    {"NameOfTheSampleWeights",
     [](ModelBuilder& net) {
       const Tensor x = net.Linear(net.Input("x", {2, 3}), {.name = "a", .out = 2});
       net.Classify(x, {.label = "y", .sample_weight = "y"});
     },
     "y: the loss needs an input"},
    {"NameOfTheLoss",
     [](ModelBuilder& net) {
       net.Classify(net.Linear(net.Input("x", {2, 3}), {.name = "a", .out = 2}),
                    {.prediction = "loss"});
     },
     "loss: an output needs"},
    {"OutputOfNothing", [](ModelBuilder& net) { net.Classify({}); }, "logits: the output is no"},
    {"OperandOfNothing",
     [](ModelBuilder& net) {
       net.At("sum");
       net.Add(net.Input("x", {2, 3}), {});
     },
     "sum: add: an operand is no value"},
    {"TwoInputsOfOneName",
     [](ModelBuilder& net) {
       net.Input("x", {2, 3});
       net.Input("x", {2, 3});
     },
     "x: there is an input"},
    {"TwoParametersOfOneName",
     [](ModelBuilder& net) {
       const Tensor x = net.Input("x", {2, 3});
       net.Linear(net.Linear(x, {.name = "a", .out = 3}), {.name = "a", .out = 3});
     },
     "a.weight: there is a parameter"},
    {"FilterOfAnotherRank",
     [](ModelBuilder& net) {
       net.Parameter("p", {1, 4, 4}, ParameterKind::kWeight, {}, ParamLayout::kConv);
     },
     "p: layout: a filter is a weight of four dimensions (got 3)"},
    {"BiasAsAFilter",
     [](ModelBuilder& net) {
       net.Parameter("p", {1, 4, 4}, ParameterKind::kBias, {}, ParamLayout::kDepthwise);
     },
     "p: layout: a filter is a weight"},
    {"FewValues",
     [](ModelBuilder& net) {
       net.Parameter("p", {4}, ParameterKind::kBias, std::vector<float>{1, 2});
     },
     "p: values (got 2, want 4)"},
    {"ConvOfVectors",
     [](ModelBuilder& net) {
       net.Conv(net.Input("x", {2, 3}), {.name = "c", .out = 4});
     },
     "c: a convolution reads"},
    {"Groups",
     [](ModelBuilder& net) {
       net.Conv(net.Input("x", {2, 4, 4, 3}), {.name = "c", .out = 4, .groups = 2});
     },
     "c: groups"},
    {"NoChannels",
     [](ModelBuilder& net) {
       net.Conv(net.Input("x", {2, 4, 4, 3}), {.name = "c"});
     },
     "c: out"},
    {"ShapesThatDoNotFit",
     [](ModelBuilder& net) {
       net.At("sum");
       net.Add(net.Input("x", {2, 3}), net.Input("y", {2, 4}));
     },
     "sum"},
    {"MeanOverTheBatch",
     [](ModelBuilder& net) {
       net.At("pool");
       net.Mean(net.Input("x", {2, 3}), 0);
     },
     "pool: mean: axis"},
    {"PoolOfVectors",
     [](ModelBuilder& net) {
       net.At("blocks.0");
       net.MaxPool(net.Input("x", {2, 3}), 2, 2);
     },
     "blocks.0: max_pool(f32[2,3])"},
    {"DropsAll",
     [](ModelBuilder& net) {
       net.Dropout(net.Input("x", {2, 3}), 1.0);
     },
     "rate"},
    {"NothingToJoin", [](ModelBuilder& net) { net.Concat({}, 1); }, "concat"},
    {"HalfAPermutation",
     [](ModelBuilder& net) {
       net.Transpose(net.Input("x", {2, 3}), {0});
     },
     "transpose"},
};

INSTANTIATE_TEST_SUITE_P(All, MistakeTest, testing::ValuesIn(kMistakes),
                         [](const auto& info) { return info.param.name; });

TEST(ModelBuilderTest, IsDoneOnceItHasBuilt) {
  ModelBuilder net("m", 2);
  net.Classify(net.Linear(net.Input("x", {2, 3}), {.name = "a", .out = 2}));
  ASSERT_TRUE(net.Build(1).ok());
  EXPECT_EQ(net.Build(1).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pocketune
