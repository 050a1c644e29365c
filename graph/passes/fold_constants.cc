#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/math.h"
#include "graph/memory/kernel_query.h"
#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

// A result so large stays a node where its operands are less than half of it: a plan should not
// store what a fill makes.
constexpr int64_t kLargeBytes = 64 * 1024;

// Floats on a 64-byte boundary, with one line more that kernels may read.
class Buffer {
 public:
  explicit Buffer(int64_t bytes) : lines_(static_cast<size_t>(CeilDiv(bytes, kAlignment)) + 2) {}
  float* data() { return reinterpret_cast<float*>(lines_.data()); }

 private:
  struct alignas(kAlignment) Line {
    uint8_t bytes[kAlignment];
  };
  std::vector<Line> lines_;
};

bool IsFoldable(const Graph& graph, const Node& node) {
  if (!IsPure(node)) return false;
  int64_t operand_bytes = 0;
  int64_t result_bytes = 0;
  for (ValueId id : node.operands) {
    if (!IsFixed(graph.value(id)) || graph.type(id).dtype != DType::kF32) return false;
    operand_bytes += graph.value(id).bytes();
  }
  for (ValueId id : node.results) {
    // An output must be written by a node.
    if (IsOutput(graph, id) || graph.type(id).dtype != DType::kF32) return false;
    result_bytes += graph.value(id).bytes();
  }
  return result_bytes <= kLargeBytes || result_bytes <= 2 * operand_bytes;
}

// Runs the target's own kernel on the host. Empty where there is none.
std::vector<std::vector<float>> Evaluate(const Graph& graph, const Node& node,
                                         const PassContext& context) {
  NodeQuery asked(graph, node, context.isa, 1);
  asked.query.constant_operands = 0;  // kernels that pack constants first are not worth it
  const KernelInfo* kernel = SelectKernel(context.kernels, asked.query);
  if (kernel == nullptr || kernel->prepare != nullptr) return {};
  std::vector<Buffer> buffers;
  const auto view = [&](ValueId id) {
    buffers.emplace_back(graph.value(id).bytes());
    return TensorView{buffers.back().data(), graph.shape(id), DType::kF32};
  };
  std::vector<TensorView> operands, results;
  for (ValueId id : node.operands) {
    operands.push_back(view(id));
    std::copy(graph.value(id).data->begin(), graph.value(id).data->end(), buffers.back().data());
  }
  for (ValueId id : node.results) results.push_back(view(id));
  Buffer scratch(kernel->scratch_bytes == nullptr ? 0 : kernel->scratch_bytes(asked.query));
  StepPage page;
  ThreadPool pool(1);
  KernelArgs args;
  args.operands = operands;
  args.results = results;
  args.attrs = AttrsBytes(node.attrs).data();
  args.scratch = scratch.data();
  args.page = &page;
  args.pool = &pool;
  kernel->run(args);
  std::vector<std::vector<float>> data;
  for (const TensorView& result : results) {
    data.emplace_back(result.as<float>(), result.as<float>() + result.shape.elems());
  }
  return data;
}

std::string ConstName(const Graph& graph, const Node& node) {
  if (node.operands.empty()) return node.info().name;
  return absl::StrCat(graph.value(node.operands[0]).name, ".", node.info().name);
}

}  // namespace

// Computes at compile time what depends on constants and on parameters that do not learn, with the
// kernels of the target, so that there is no second definition of an op.
absl::Status RunFoldConstants(Graph& graph, PassContext& context) {
  std::vector<bool> keep(graph.nodes.size(), true);
  Replacer replacer(graph);
  ConstAdder consts(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    replacer.Update(graph.nodes[n]);
    if (!IsFoldable(graph, graph.nodes[n])) continue;
    std::vector<std::vector<float>> data = Evaluate(graph, graph.nodes[n], context);
    if (data.empty()) continue;
    const std::string name = ConstName(graph, graph.nodes[n]);
    const std::vector<ValueId> results = graph.nodes[n].results;
    for (size_t i = 0; i < data.size(); ++i) {
      const Shape shape = graph.shape(results[i]);
      replacer.Replace(results[i], consts.Add(name, shape, std::move(data[i])));
    }
    keep[n] = false;
  }
  graph.Compact(keep);
  return absl::OkStatus();
}

}  // namespace pocketune
