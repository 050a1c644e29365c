// Schemes under which only some input channels of a weight learn: what is computed are slices of
// the full gradients, bit for bit, and the rest costs nothing.
#include "sparse_bp/channels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "autodiff/autodiff.h"
#include "autodiff/optimizers.h"
#include "backends/reference/reference_kernels.h"
#include "engine/ops/slice_index.h"
#include "graph/ir/text.h"
#include "graph/ir/verifier.h"
#include "sparse_bp/scheme.h"
#include "tests/sparse_bp/random_scheme.h"
#include "tests/sparse_bp/small_model.h"
#include "tests/support/interpreter.h"
#include "tests/support/saved_bytes.h"

namespace pocketune {
namespace {

using test::Interpreter;
using test::RandomModel;
using test::RandomScheme;
using test::SavedBytes;
using test::SmallModel;
using test::TensorData;

// The joint graph of one step; each gradient is an output named "<param>'".
Graph Train(Graph graph, const UpdateScheme& scheme,
            OptimizerKind optimizer = OptimizerKind::kMomentum) {
  absl::Status status = ApplyScheme(graph, scheme);
  EXPECT_TRUE(status.ok()) << status;
  const auto grads = BuildBackward(graph, graph.FindOutput("loss"), LearningParams(graph));
  EXPECT_TRUE(grads.ok()) << grads.status();
  status = AppendUpdates(graph, *grads, {.kind = optimizer, .weight_decay = 0.01});
  EXPECT_TRUE(status.ok()) << status;
  for (const ParamGrad& g : *grads) {
    graph.outputs.push_back({graph.value(g.param).name + "'", g.grad});
  }
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph);
  return graph;
}

// Outputs and parameters of a graph after one step in f32.
std::map<std::string, TensorData> Step(const Graph& graph) {
  Interpreter run(graph, ReferenceKernels());
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    if (value.kind != ValueKind::kInput) continue;
    const TensorData data = TensorData::Uniform(value.type, value.name, 0, 1.5);
    run.Set(static_cast<ValueId>(i), data.Values());
  }
  StepPage page;
  page.step = 1;
  page.learning_rate = 0.25;
  run.Run(page);
  EXPECT_FALSE(page.faulty());
  std::map<std::string, TensorData> tensors;
  for (const Output& output : graph.outputs) tensors[output.name] = run.Get(output.value);
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kParam) tensors[value.name] = run.Get(value.name);
  }
  return tensors;
}

// The learning slices of `whole`.
TensorData PartOf(const TensorData& whole, const LearningSlices& slices) {
  Shape shape = whole.shape();
  shape[slices.axis] = static_cast<int64_t>(slices.numbers.size());
  TensorData part({shape, whole.type().dtype});
  const SliceGeometry g = SlicesAlong(slices.axis, whole.shape(), shape[slices.axis]);
  for (int64_t i = 0; i < part.elems(); ++i) {
    const int64_t row = i / (g.picked * g.inner), k = i / g.inner % g.picked;
    part.Set(i, whole[(row * g.slices + slices.numbers[k]) * g.inner + i % g.inner]);
  }
  return part;
}

// Gradients, states and updated parameters under the scheme are those of the full step.
void ExpectSlicesOfTheFullStep(const Graph& model, const UpdateScheme& scheme,
                               OptimizerKind optimizer) {
  const Graph graph = Train(model, scheme, optimizer);
  const auto full = Step(Train(model, *ParseScheme("full"), optimizer)), sparse = Step(graph);
  for (const Value& value : graph.values) {
    if (value.kind != ValueKind::kParam || value.role == ParamRole::kState) continue;
    const TensorData& before =
        TensorData(value.type.shape, {value.data->begin(), value.data->end()});
    const TensorData& after = sparse.at(value.name);
    if (!value.trainable) {
      EXPECT_TRUE(after == before) << value.name;
      continue;
    }
    if (value.slices == nullptr) {
      EXPECT_TRUE(sparse.at(value.name + "'") == full.at(value.name + "'")) << value.name;
      EXPECT_TRUE(after == full.at(value.name)) << value.name;
      continue;
    }
    const LearningSlices& slices = *value.slices;
    EXPECT_TRUE(sparse.at(value.name + "'") == PartOf(full.at(value.name + "'"), slices))
        << value.name;
    EXPECT_TRUE(PartOf(after, slices) == PartOf(full.at(value.name), slices)) << value.name;
    for (const char* state : {"/velocity", "/m", "/v"}) {
      if (full.count(value.name + state) == 0) continue;
      EXPECT_TRUE(sparse.at(value.name + state) == PartOf(full.at(value.name + state), slices));
    }
    LearningSlices rest{slices.axis, {}};
    for (int32_t c = 0; c < value.type.shape[slices.axis]; ++c) {
      if (!std::binary_search(slices.numbers.begin(), slices.numbers.end(), c)) {
        rest.numbers.push_back(c);
      }
    }
    EXPECT_TRUE(PartOf(after, rest) == PartOf(before, rest)) << value.name;
  }
}

class ChannelsTest : public testing::TestWithParam<uint64_t> {};

TEST_P(ChannelsTest, AreSlicesOfTheFullStepInASmallModel) {
  for (const bool batch_statistics : {false, true}) {
    const Graph model = SmallModel::Build(batch_statistics);
    for (const auto optimizer : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
      ExpectSlicesOfTheFullStep(model, RandomScheme(model, GetParam()), optimizer);
    }
  }
}

TEST_P(ChannelsTest, AreSlicesOfTheFullStepInARandomModel) {
  for (uint64_t seed = GetParam() * 10; seed < GetParam() * 10 + 10; ++seed) {
    SCOPED_TRACE(seed);
    const absl::StatusOr<Graph> model = RandomModel(seed);
    ASSERT_TRUE(model.ok()) << model.status();
    ExpectSlicesOfTheFullStep(*model, RandomScheme(*model, seed), OptimizerKind::kMomentum);
  }
}

TEST_P(ChannelsTest, ReadBackFromText) {
  Graph graph = SmallModel::Build(false);
  ASSERT_TRUE(ApplyScheme(graph, RandomScheme(graph, GetParam())).ok());
  const std::string text = Print(graph);
  const absl::StatusOr<Graph> back = Parse(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(Print(*back), text);
  EXPECT_EQ(CountTrainableParams(*back), CountTrainableParams(graph));
}

INSTANTIATE_TEST_SUITE_P(Seeds, ChannelsTest, testing::Range<uint64_t>(0, 10));

int64_t BytesOf(const Graph& graph, const std::string& name) {
  return graph.value(graph.FindValue(name, ValueKind::kParam)).bytes();
}

// Of the 5 input channels of one pointwise convolution, at 5x5 pixels and batch 2, 2 learn.
TEST(ChannelsCostTest, IsThatOfTheSliceAlone) {
  const Graph model = SmallModel::Build(false);
  const Graph none = Train(model, *ParseScheme("bias:1"));
  const std::string weight = "blocks.2.expand.weight";
  const std::string bias = "blocks.2.*=bias," + weight;
  const Graph all = Train(model, *ParseScheme(bias + "=all"));
  const Graph some = Train(model, *ParseScheme(bias + "=channels(0.4)"));
  const int64_t pixels = SmallModel::kBatch * 5 * 5;
  EXPECT_EQ(MacsOf(all, Phase::kBackward) - MacsOf(none, Phase::kBackward), pixels * 5 * 7);
  EXPECT_EQ(MacsOf(some, Phase::kBackward) - MacsOf(none, Phase::kBackward), pixels * 2 * 7);
  EXPECT_EQ(SavedBytes(all) - SavedBytes(none), pixels * 5 * 4);
  EXPECT_EQ(SavedBytes(some) - SavedBytes(none), pixels * 2 * 4);
  EXPECT_EQ(BytesOf(all, weight + "/velocity"), 5 * 7 * 4);
  EXPECT_EQ(BytesOf(some, weight + "/velocity"), 2 * 7 * 4);
  EXPECT_EQ(some.shape(some.FindOutput(weight + "'")), (Shape{7, 1, 1, 2}));
  EXPECT_EQ(CountTrainableParams(some) - CountTrainableParams(none), 2 * 7);
}

TEST(ChannelsCostTest, CountsWhatRoundingTookFromARatio) {
  EXPECT_EQ(CountOf(0.29, 100), 29);
  EXPECT_EQ(CountOf(0.125, 56), 7);
  EXPECT_EQ(CountOf(0.125, 55), 6);
  EXPECT_EQ(CountOf(1, 7), 7);
  EXPECT_EQ(CountOf(0, 7), 0);
}

}  // namespace
}  // namespace pocketune
