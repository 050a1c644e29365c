// What the backward pass keeps, in bytes, and that nothing alive is overwritten.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/autodiff.h"
#include "autodiff/optimizers.h"
#include "backends/reference/reference_kernels.h"
#include "graph/passes/pass_manager.h"
#include "tests/support/random_graph.h"

namespace pocketune {
namespace {

// The joint graph with places in the arena, from a forward graph with the scalar output "loss".
Graph Planned(Graph graph, std::vector<std::string> disabled = {}) {
  PassContext context;
  context.kernels = ReferenceKernels();
  context.disabled = std::move(disabled);
  EXPECT_TRUE(RunPasses(graph, context, {"dce"}).ok());
  EXPECT_TRUE(OptimizeForward(graph, context).ok());
  const auto grads = BuildBackward(graph, graph.FindOutput("loss"), LearningParams(graph));
  EXPECT_TRUE(grads.ok()) << grads.status();
  const absl::Status updated = AppendUpdates(graph, *grads, {.kind = OptimizerKind::kSgd});
  EXPECT_TRUE(updated.ok()) << updated;
  const absl::Status planned = PlanGraph(graph, context);
  EXPECT_TRUE(planned.ok()) << planned;
  return graph;
}

void AddLoss(Graph& graph, ValueId x) {
  GraphBuilder b(&graph);
  const uint32_t axes = (1u << graph.shape(x).rank()) - 1;
  graph.outputs = {{"loss", b.Op(OpKind::kReduceMean, {x}, ReduceAttrs{.axes = axes})}};
}

// A chain of convolutions with frozen weights and biases that learn: relu6, relu, clamp, none,
// relu. Each result has 7 x 7 x 5 elements, 31 bytes as a mask.
Graph ChainOfBiases(bool weights_learn) {
  Graph graph;
  GraphBuilder b(&graph);
  ValueId x = graph.AddInput("image", {Shape{1, 7, 7, 5}});
  for (const OpKind act :
       {OpKind::kRelu6, OpKind::kRelu, OpKind::kClamp, OpKind::kAffine, OpKind::kRelu}) {
    const std::string name = absl::StrCat("conv", graph.nodes.size());
    const auto param = [&](const char* suffix, Shape shape, ParamRole role) {
      const std::string full = name + suffix;
      return graph.AddParam(full, shape, role, test::RandomData(full, shape.elems(), role));
    };
    const ValueId w = param(".weight", {5, 1, 1, 5}, ParamRole::kWeight);
    const ValueId bias = param(".bias", {5}, ParamRole::kBias);
    graph.value(bias).trainable = true;
    graph.value(w).trainable = weights_learn;
    x = b.Op(OpKind::kConv2d, {x, w, bias}, ConvAttrs{});
    Attrs attrs = NoAttrs{};
    if (act == OpKind::kClamp) attrs = ClampAttrs{.lo = -1, .hi = 1};
    if (act == OpKind::kAffine) attrs = AffineAttrs{.factor = 2};
    x = b.Op(act, {x}, attrs);
  }
  AddLoss(graph, x);
  EXPECT_TRUE(b.status().ok()) << b.status();
  return graph;
}

// Bytes of all that the forward pass makes, or takes in, and the backward pass reads.
int64_t SavedBytes(const Graph& graph) {
  const std::vector<std::vector<NodeId>> users = UsersOf(graph);
  int64_t bytes = 0;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    const bool forward =
        value.kind == ValueKind::kInput ||
        (value.kind == ValueKind::kResult && graph.nodes[value.producer].phase == Phase::kForward);
    const bool saved = std::any_of(users[i].begin(), users[i].end(), [&](NodeId n) {
      return graph.nodes[n].phase != Phase::kForward;
    });
    if (forward && saved) bytes += value.bytes();
  }
  return bytes;
}

TEST(SaveMasksTest, LayersWhoseBiasesLearnKeepOneBitForEachElementAndNothingElse) {
  constexpr int64_t kElems = 7 * 7 * 5, kMask = (kElems + 7) / 8, kFloats = 4 * kElems;
  EXPECT_EQ(SavedBytes(Planned(ChainOfBiases(false))), 4 * kMask);
  // The results of three activations and the operand of clamp.
  EXPECT_EQ(SavedBytes(Planned(ChainOfBiases(false), {"save_masks"})), 4 * kFloats);
}

TEST(SaveMasksTest, NoMaskIsMadeOfWhatAFilterGradientKeepsAnyway) {
  constexpr int64_t kElems = 7 * 7 * 5, kMask = (kElems + 7) / 8, kFloats = 4 * kElems;
  // The five inputs; masks stand for the operand of clamp and for the last result.
  EXPECT_EQ(SavedBytes(Planned(ChainOfBiases(true))), 5 * kFloats + 2 * kMask);
}

// The value whose bytes `id` is, views followed back; a view of a parameter is a copy.
ValueId BaseOf(const Graph& graph, ValueId id) {
  for (;;) {
    const Value& value = graph.value(id);
    if (value.producer == kNone || !graph.nodes[value.producer].info().Has(kView)) return id;
    const ValueId operand = graph.nodes[value.producer].operands[0];
    const ValueKind kind = graph.value(operand).kind;
    if (kind != ValueKind::kResult && kind != ValueKind::kInput) return id;
    id = operand;
  }
}

// From when to when bytes are needed, found without the alias groups and lifetimes of graph/memory.
struct Life {
  int64_t begin, end;
  int first, last;
  ValueId id;  // kNone: scratch
};

std::vector<Life> LivesOf(const Graph& graph) {
  const int nodes = static_cast<int>(graph.nodes.size());
  std::vector<int> last(graph.values.size(), kNone);
  for (int n = 0; n < nodes; ++n) {
    for (ValueId id : graph.nodes[n].operands) last[BaseOf(graph, id)] = n;
  }
  for (const Output& output : graph.outputs) last[BaseOf(graph, output.value)] = nodes - 1;
  std::vector<Life> lives;
  for (ValueId id = 0; id < static_cast<ValueId>(graph.values.size()); ++id) {
    const Value& value = graph.value(id);
    if (graph.offsets[id] == kNone || BaseOf(graph, id) != id) continue;
    const int first = value.kind == ValueKind::kInput ? 0 : value.producer;
    const int64_t begin = graph.offsets[id];
    lives.push_back({begin, begin + value.bytes(), first, std::max(first, last[id]), id});
  }
  for (int n = 0; n < nodes; ++n) {
    const Node& node = graph.nodes[n];
    if (node.scratch_bytes == 0) continue;
    lives.push_back({node.scratch_offset, node.scratch_offset + node.scratch_bytes, n, n, kNone});
  }
  return lives;
}

// Is `younger` made in place of `older`, by its last reader?
bool MadeInPlace(const Graph& graph, const Life& older, const Life& younger) {
  if (younger.id == kNone || graph.value(younger.id).producer == kNone) return false;
  const Node& node = graph.nodes[graph.value(younger.id).producer];
  return node.in_place && node.results[0] == younger.id && older.last == younger.first &&
         BaseOf(graph, node.operands[0]) == older.id;
}

TEST(SaveMasksTest, NoTwoThingsThatAreNeededAtOnceShareBytes) {
  int masks = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Graph forward = test::RandomGraph(seed).Take();
    AddLoss(forward, forward.FindOutput("logits"));
    const Graph graph = Planned(std::move(forward));
    const std::vector<Life> lives = LivesOf(graph);
    for (const Life& a : lives) {
      for (const Life& b : lives) {
        if (&a == &b || a.first > b.first || b.first > a.last) continue;
        if (a.end <= b.begin || b.end <= a.begin) continue;
        EXPECT_TRUE(MadeInPlace(graph, a, b) || MadeInPlace(graph, b, a))
            << "seed " << seed << ": values " << a.id << " and " << b.id;
      }
    }
    masks += static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                            [](auto& n) { return n.op == OpKind::kGateMask; }));
  }
  EXPECT_GT(masks, 10);
}

}  // namespace
}  // namespace pocketune
