// What a scheme keeps is the full backward's, bit for bit; what it leaves out costs nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "autodiff/optimizers.h"
#include "backends/reference/reference_kernels.h"
#include "graph/ir/verifier.h"
#include "sparse_bp/scheme.h"
#include "tests/sparse_bp/small_model.h"
#include "tests/support/interpreter.h"

namespace pocketune {
namespace {

using test::Interpreter;
using test::SmallModel;
using test::TensorData;

// The joint graph of forward, backward and update under a scheme; each gradient is an output named
// "<param>'".
Graph Train(const UpdateScheme& scheme, bool batch_statistics = false) {
  Graph graph = SmallModel::Build(batch_statistics);
  absl::Status status = ApplyScheme(graph, scheme);
  EXPECT_TRUE(status.ok()) << status;
  const auto grads = BuildBackward(graph, graph.FindOutput("loss"), LearningParams(graph));
  EXPECT_TRUE(grads.ok()) << grads.status();
  status = AppendUpdates(graph, *grads, {.kind = OptimizerKind::kMomentum});
  EXPECT_TRUE(status.ok()) << status;
  for (const ParamGrad& g : *grads) {
    graph.outputs.push_back({graph.value(g.param).name + "'", g.grad});
  }
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph);
  return graph;
}

Graph Train(const char* scheme) { return Train(*ParseScheme(scheme)); }

void RunOneStep(const Graph& graph, Interpreter* run) {
  StepPage page;
  page.step = 1;
  page.learning_rate = 0.05;
  run->Set("image", TensorData::Uniform(graph.type(run->Find("image")), "image").Values());
  run->Set("label", {1, 4});
  run->Set("weight", {1, 1});
  run->Run(page);
}

// All outputs of a graph after one step in f32: loss, logits and gradients.
std::map<std::string, TensorData> OutputsOf(const Graph& graph) {
  Interpreter run(graph, ReferenceKernels());
  RunOneStep(graph, &run);
  std::map<std::string, TensorData> outputs;
  for (const Output& output : graph.outputs) outputs[output.name] = run.Get(output.value);
  return outputs;
}

UpdateScheme RandomScheme(uint64_t seed) {
  const Graph graph = SmallModel::Build(false);
  const RandomStream random(seed, "scheme");
  UpdateScheme scheme;
  scheme.text = "random " + std::to_string(seed);
  scheme.kind = UpdateScheme::Kind::kRules;
  for (ValueId id = 0; id < static_cast<ValueId>(graph.values.size()); ++id) {
    const Value& value = graph.value(id);
    if (value.kind != ValueKind::kParam || value.role == ParamRole::kNormMean ||
        value.role == ParamRole::kNormVar) {
      continue;
    }
    const Update update = random.Below(id, 4) == 0 ? Update::kAll : Update::kNone;
    scheme.rules.push_back({value.name, update});
  }
  return scheme;
}

TEST(SparseBackwardTest, KeptGradientsAreTheFullOnesBitForBit) {
  for (const bool batch_statistics : {false, true}) {
    const auto full = OutputsOf(Train(*ParseScheme("full"), batch_statistics));
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const UpdateScheme scheme = RandomScheme(seed);
      for (const auto& [name, gradient] : OutputsOf(Train(scheme, batch_statistics))) {
        ASSERT_TRUE(full.count(name) == 1) << name;
        EXPECT_TRUE(gradient == full.at(name)) << scheme.text << ": " << name;
      }
    }
  }
}

TEST(SparseBackwardTest, FrozenParametersKeepTheirValues) {
  const Graph graph = Train("blocks:1");
  Interpreter run(graph, ReferenceKernels());
  RunOneStep(graph, &run);
  const Graph untrained = SmallModel::Build(false);
  Interpreter start(untrained, ReferenceKernels());
  for (const Value& value : untrained.values) {
    if (value.kind != ValueKind::kParam) continue;
    const ValueId id = graph.FindValue(value.name, ValueKind::kParam);
    EXPECT_EQ(run.Get(value.name) == start.Get(value.name), !graph.value(id).trainable)
        << value.name;
  }
}

struct Cost {
  int convolution_gradients = 0;  // of inputs and filters
  int64_t backward_macs = 0;
  int saved_activations = 0;  // forward results and inputs that backward nodes read
  int states = 0;
  int updates = 0;
};

Cost CostOf(const Graph& graph) {
  Cost cost;
  cost.backward_macs = MacsOf(graph, Phase::kBackward);
  for (const Node& node : graph.nodes) {
    cost.updates += node.phase == Phase::kUpdate;
    cost.convolution_gradients +=
        node.phase == Phase::kBackward && node.info().Has(kHasMacs) && node.op != OpKind::kMatmul;
  }
  const auto users = UsersOf(graph);
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    cost.states += value.kind == ValueKind::kParam && value.role == ParamRole::kState;
    const bool forward =
        value.kind == ValueKind::kInput ||
        (value.kind == ValueKind::kResult && graph.nodes[value.producer].phase == Phase::kForward);
    cost.saved_activations +=
        forward && std::any_of(users[i].begin(), users[i].end(),
                               [&](NodeId n) { return graph.nodes[n].phase == Phase::kBackward; });
  }
  return cost;
}

TEST(SparseBackwardTest, FullCostsEveryLayer) {
  const Cost cost = CostOf(Train("full"));
  // Eleven convolutions: a filter gradient each, an input gradient for all but the stem.
  EXPECT_EQ(cost.convolution_gradients, 21);
  EXPECT_EQ(cost.updates, 35);
  EXPECT_EQ(cost.states, 35);
  // Inputs of layers (the results of relu6 among them) and of normalizations, inputs of hard-swish,
  // the result of relu, and the classifier's four.
  EXPECT_EQ(cost.saved_activations, 11 + 11 + 3 + 1 + 4);
}

TEST(SparseBackwardTest, HeadCostsOneMatrixProduct) {
  const Cost cost = CostOf(Train("head"));
  EXPECT_EQ(cost.convolution_gradients, 0);
  EXPECT_EQ(cost.backward_macs, SmallModel::kBatch * 11 * SmallModel::kClasses);
  EXPECT_EQ(cost.saved_activations, 4);  // features, logits, label, weight
  EXPECT_EQ(cost.updates, 2);
  EXPECT_EQ(cost.states, 2);
}

TEST(SparseBackwardTest, BiasCostsNoFilterGradientAndSavesNoConvolutionInput) {
  const Graph graph = Train("bias");
  const Cost cost = CostOf(graph);
  EXPECT_EQ(cost.convolution_gradients, 10);  // of inputs, all but the stem
  EXPECT_EQ(cost.updates, 11 + 2);
  EXPECT_EQ(cost.states, 11 + 2);
  // Results of relu6 (4) and relu (1), inputs of hard-swish (3), and the classifier's four.
  EXPECT_EQ(cost.saved_activations, 4 + 1 + 3 + 4);
}

TEST(SparseBackwardTest, ABlockCostsWhatStandsBehindIt) {
  const Cost cost = CostOf(Train("blocks:1"));
  // Filter gradients of three layers and the tail, input gradients of all of them but the first.
  EXPECT_EQ(cost.convolution_gradients, 4 + 3);
  EXPECT_EQ(cost.updates, 4 * 3 + 2);
  EXPECT_EQ(cost.states, 4 * 3 + 2);
}

TEST(SparseBackwardTest, CostsRiseWithTheNumberOfBlocks) {
  const char* schemes[] = {"head", "blocks:1", "blocks:2", "blocks:3", "full"};
  for (int i = 1; i < 5; ++i) {
    const Cost less = CostOf(Train(schemes[i - 1])), more = CostOf(Train(schemes[i]));
    EXPECT_LT(less.backward_macs, more.backward_macs) << schemes[i];
    EXPECT_LT(less.saved_activations, more.saved_activations) << schemes[i];
    EXPECT_LT(less.states, more.states) << schemes[i];
  }
}

}  // namespace
}  // namespace pocketune
