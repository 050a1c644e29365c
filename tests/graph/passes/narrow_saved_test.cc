// What the backward pass keeps in fewer bits: how many bytes, and how far gradients move.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/autodiff.h"
#include "autodiff/optimizers.h"
#include "backends/reference/reference_kernels.h"
#include "engine/ops/narrow.h"
#include "graph/ir/builder.h"
#include "graph/passes/pass_manager.h"
#include "tests/support/graph_step.h"
#include "tests/support/saved_bytes.h"

namespace pocketune {
namespace {

using test::SavedBytes;
using test::TensorData;

constexpr int kLayers = 4;
constexpr double kRate = 0.5;  // of test::Step
const Shape kSaved = {2, 16, 16, 8};

std::vector<float> Positive(const std::string& name, int64_t n) {
  std::vector<float> data;
  for (const double v : TensorData::Uniform({{n}}, name, 0.01, 0.2).Values()) {
    data.push_back(static_cast<float>(v));
  }
  return data;
}

// 1x1 convolutions with positive weights, each with relu6, of a positive image: no gradient is
// negative, so that a sum of magnitudes is the sum itself. The loss is the mean of the last result.
Graph PositiveChain() {
  Graph graph;
  GraphBuilder b(&graph);
  ValueId x = graph.AddInput("image", {kSaved});
  for (int i = 0; i < kLayers; ++i) {
    const auto param = [&](const std::string& name, Shape shape, ParamRole role) {
      const ValueId id =
          graph.AddParam(name, shape, role,
                         std::make_shared<const std::vector<float>>(Positive(name, shape.elems())));
      graph.value(id).trainable = true;
      return id;
    };
    const ValueId w = param(absl::StrCat("w", i), {8, 1, 1, 8}, ParamRole::kWeight);
    x = b.Op(OpKind::kConv2d, {x, w, param(absl::StrCat("b", i), {8}, ParamRole::kBias)},
             ConvAttrs{});
    x = b.Op(OpKind::kRelu6, {x});
  }
  graph.outputs = {{"loss", b.Op(OpKind::kReduceMean, {x}, ReduceAttrs{.axes = 0b1111})}};
  EXPECT_TRUE(b.status().ok()) << b.status();
  return graph;
}

// The joint graph with what is saved in so many bits.
Graph Trained(Graph graph, int bits) {
  PassContext context;
  context.kernels = ReferenceKernels();
  context.saved_bits = bits;
  EXPECT_TRUE(OptimizeForward(graph, context).ok());
  const auto grads = BuildBackward(graph, graph.FindOutput("loss"), LearningParams(graph));
  EXPECT_TRUE(grads.ok()) << grads.status();
  const absl::Status updated = AppendUpdates(graph, *grads, {.kind = OptimizerKind::kSgd});
  EXPECT_TRUE(updated.ok()) << updated;
  EXPECT_TRUE(OptimizeGraph(graph, context).ok());
  const absl::Status narrowed = NarrowSaved(graph, context);
  EXPECT_TRUE(narrowed.ok()) << narrowed;
  return graph;
}

int CountOf(const Graph& graph, OpKind op) {
  return static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                        [&](const Node& node) { return node.op == op; }));
}

TEST(NarrowSavedTest, WhatIsKeptTakesThePackedBytesAndABitForEachGate) {
  const int64_t elems = kSaved.elems(), mask = elems / 8;
  constexpr int kKept = kLayers - 1;  // nothing but a gate reads the last result
  const Graph plain = Trained(PositiveChain(), kAllBits);
  EXPECT_EQ(SavedBytes(plain), kKept * 4 * elems + mask);
  EXPECT_EQ(CountOf(plain, OpKind::kNarrow), 0);
  for (const int bits : {16, 8}) {
    const Graph graph = Trained(PositiveChain(), bits);
    const int packed = CountOf(graph, OpKind::kNarrow);
    EXPECT_GE(packed, 1);
    EXPECT_LE(packed, kKept);
    EXPECT_EQ(SavedBytes(graph),
              packed * (NarrowBytes(kSaved, bits) + mask) + (kKept - packed) * 4 * elems + mask);
  }
}

// Gradient of each parameter, from what a step of descent made of it.
std::map<std::string, TensorData> GradientsOf(const Graph& graph) {
  std::map<std::string, TensorData> gradients;
  const std::map<std::string, TensorData> after = test::Step(graph, DType::kF32);
  for (const auto& [name, value] : after) {
    TensorData gradient = value;
    const ValueId id = graph.FindValue(name, ValueKind::kParam);
    if (id != kNone) {
      const std::vector<float>& before = *graph.value(id).data;
      for (int64_t i = 0; i < value.elems(); ++i) {
        gradient.Set(i, (double{before[i]} - value[i]) / kRate);
      }
    }
    gradients.emplace(name, gradient);
  }
  return gradients;
}

TEST(NarrowSavedTest, AFilterGradientMovesByTheFormatsErrorAtMostAndNothingElseMoves) {
  const Graph plain = Trained(PositiveChain(), kAllBits);
  const std::map<std::string, TensorData> want = GradientsOf(plain);
  for (const int bits : {16, 8}) {
    const std::map<std::string, TensorData> got = GradientsOf(Trained(PositiveChain(), bits));
    EXPECT_TRUE(got.at("loss") == want.at("loss"));
    EXPECT_TRUE(got.at("w0") == want.at("w0"));  // of the image, which is no activation
    for (int layer = 0; layer < kLayers; ++layer) {
      const TensorData& bias = want.at(absl::StrCat("b", layer));
      EXPECT_TRUE(got.at(absl::StrCat("b", layer)) == bias) << layer;
      const std::string name = absl::StrCat("w", layer);
      double moved = 0;
      for (int64_t i = 0; i < want.at(name).elems(); ++i) {
        // 2^-8 of each activation; half of a 127th of the largest, which is at most 6.
        const double bound =
            bits == 16 ? std::exp2(-8) * want.at(name)[i] : 6.0 / 254 * bias[i / 8];
        const double error = std::abs(got.at(name)[i] - want.at(name)[i]);
        EXPECT_LE(error, bound + 1e-6) << name << " in " << bits << " bits";
        moved = std::max(moved, error);
      }
      if (layer == 1) {
        EXPECT_GT(moved, 0);
      }
    }
  }
}

}  // namespace
}  // namespace pocketune
