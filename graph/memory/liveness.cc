#include "graph/memory/liveness.h"

#include <algorithm>

#include "engine/base/math.h"

namespace pocketune {
namespace {

bool InArena(const Value& root) {
  return root.kind == ValueKind::kInput || root.kind == ValueKind::kResult;
}

// Extends the group of `id` to `node`; makes its buffer at the first call. What a loop makes or
// reads of the whole batch it needs from its first to its last node.
void Touch(const Graph& graph, const std::vector<const BatchLoop*>& loop_of, Liveness& live,
           std::vector<int>& buffer_of_root, ValueId id, int node) {
  const ValueId root = live.roots[id];
  if (!InArena(graph.value(root))) return;
  const bool whole = graph.value(root).parts == 1;
  if (buffer_of_root[root] == kNone) {
    buffer_of_root[root] = static_cast<int>(live.buffers.size());
    const NodeId producer = graph.value(root).producer;
    Buffer buffer;
    buffer.root = root;
    buffer.bytes = AlignUp(graph.value(root).bytes());
    buffer.first = buffer.last = producer == kNone ? 0 : producer;
    if (producer != kNone && whole && loop_of[producer] != nullptr) {
      buffer.first = loop_of[producer]->first;
      buffer.last = loop_of[producer]->last;
    }
    live.buffers.push_back(buffer);
  }
  Buffer& buffer = live.buffers[buffer_of_root[root]];
  if (whole && loop_of[node] != nullptr) node = loop_of[node]->last;
  buffer.last = std::max(buffer.last, node);
}

void AddScratch(const Graph& graph, Liveness& live) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (graph.nodes[n].scratch_bytes == 0) continue;
    Buffer buffer;
    buffer.scratch_of = static_cast<NodeId>(n);
    buffer.bytes = AlignUp(graph.nodes[n].scratch_bytes);
    buffer.first = buffer.last = static_cast<int>(n);
    live.buffers.push_back(buffer);
  }
}

void SumUp(Liveness& live, size_t nodes) {
  std::vector<int64_t> change(nodes + 1, 0);
  for (const Buffer& buffer : live.buffers) {
    change[buffer.first] += buffer.bytes;
    change[buffer.last + 1] -= buffer.bytes;
  }
  int64_t sum = 0;
  for (size_t n = 0; n < nodes; ++n) {
    sum += change[n];
    live.live_bytes.push_back(sum);
    live.lower_bound_bytes = std::max(live.lower_bound_bytes, sum);
  }
}

}  // namespace

std::vector<ValueId> AliasRootsOf(const Graph& graph) {
  std::vector<ValueId> roots(graph.values.size());
  for (size_t i = 0; i < roots.size(); ++i) roots[i] = static_cast<ValueId>(i);
  for (const Node& node : graph.nodes) {
    if (node.info().Has(kUpdate)) {
      for (size_t i = 0; i < node.results.size(); ++i) {
        roots[node.results[i]] = roots[node.operands[i]];
      }
    } else if (node.in_place && InArena(graph.value(roots[node.operands[0]]))) {
      roots[node.results[0]] = roots[node.operands[0]];
    }
  }
  return roots;
}

bool FitsInPlace(const Graph& graph, const std::vector<ValueId>& roots, const Node& node,
                 int operand) {
  const bool commutes = node.op == OpKind::kAdd || node.op == OpKind::kMul;
  if (!node.info().Has(kInplace) || operand >= static_cast<int>(node.operands.size())) return false;
  if (operand > (commutes ? 1 : 0)) return false;
  const ValueId id = node.operands[operand];
  const TensorType& result = graph.type(node.results[0]);
  if (graph.type(id) != result || !MayLieOver(node.op, graph.type(id), result, node.attrs)) {
    return false;
  }
  if (graph.type(id) != graph.type(node.operands[0])) return false;  // the kernel is chosen already
  if (graph.value(roots[id]).kind != ValueKind::kResult) return false;
  // Another operand may be the same bytes only where each element is read before it is written.
  for (ValueId other : node.operands) {
    const bool elementwise = node.info().Has(kElementwise) && graph.type(other) == graph.type(id);
    if (other != id && roots[other] == roots[id] && !elementwise) return false;
  }
  return node.info().Has(kElementwise) ||
         std::count(node.operands.begin(), node.operands.end(), id) == 1;
}

bool ShrinksInPlace(const Graph& graph, const std::vector<ValueId>& roots, const Node& node) {
  if (node.in_place || !node.info().Has(kInplace)) return false;
  const TensorType& operand = graph.type(node.operands[0]);
  const TensorType& result = graph.type(node.results[0]);
  const ValueId root = roots[node.operands[0]];
  if (operand == result || !MayLieOver(node.op, operand, result, node.attrs)) return false;
  if (graph.value(root).kind != ValueKind::kResult) return false;
  return std::none_of(node.operands.begin() + 1, node.operands.end(),
                      [&](ValueId other) { return roots[other] == root; });
}

Liveness LivenessOf(const Graph& graph) {
  Liveness live;
  live.roots = AliasRootsOf(graph);
  std::vector<int> buffer_of_root(graph.values.size(), kNone);
  const std::vector<const BatchLoop*> loop_of = LoopsOf(graph);
  const auto touch = [&](ValueId id, int node) {
    Touch(graph, loop_of, live, buffer_of_root, id, node);
  };
  for (size_t i = 0; i < graph.values.size(); ++i) {
    if (graph.values[i].kind == ValueKind::kInput && !graph.nodes.empty()) {
      touch(static_cast<ValueId>(i), 0);
    }
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId id : graph.nodes[n].operands) touch(id, static_cast<int>(n));
  }
  const int end = static_cast<int>(graph.nodes.size()) - 1;
  for (const Output& output : graph.outputs) {
    if (end >= 0) touch(output.value, end);
  }
  std::stable_sort(live.buffers.begin(), live.buffers.end(),
                   [](const Buffer& a, const Buffer& b) { return a.first < b.first; });
  live.buffer_of.assign(graph.values.size(), kNone);
  std::fill(buffer_of_root.begin(), buffer_of_root.end(), kNone);
  for (size_t i = 0; i < live.buffers.size(); ++i) {
    buffer_of_root[live.buffers[i].root] = static_cast<int>(i);
  }
  for (size_t i = 0; i < graph.values.size(); ++i) {
    live.buffer_of[i] = buffer_of_root[live.roots[i]];
  }
  AddScratch(graph, live);
  SumUp(live, graph.nodes.size());
  return live;
}

}  // namespace pocketune
