// Places in the arena, checked without the alias groups and lifetimes of graph/memory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune::test {

// The value whose bytes `id` is, views followed back; a view of a parameter is a copy.
inline ValueId BaseOf(const Graph& graph, ValueId id) {
  for (;;) {
    const Value& value = graph.value(id);
    if (value.producer == kNone || !graph.nodes[value.producer].info().Has(kView)) return id;
    const ValueId operand = graph.nodes[value.producer].operands[0];
    const ValueKind kind = graph.value(operand).kind;
    if (kind != ValueKind::kResult && kind != ValueKind::kInput) return id;
    id = operand;
  }
}

// From when to when bytes are needed.
struct Life {
  int64_t begin, end;
  int first, last;
  ValueId id;  // kNone: scratch
};

inline std::vector<Life> LivesOf(const Graph& graph) {
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
inline bool MadeInPlace(const Graph& graph, const Life& older, const Life& younger) {
  if (younger.id == kNone || graph.value(younger.id).producer == kNone) return false;
  const Node& node = graph.nodes[graph.value(younger.id).producer];
  return node.in_place && node.results[0] == younger.id && older.last == younger.first &&
         BaseOf(graph, node.operands[0]) == older.id;
}

// No two things of a graph at kPlanned that are needed at once share bytes. For graphs without
// loops.
inline void ExpectNothingAliveIsOverwritten(const Graph& graph) {
  ASSERT_TRUE(graph.loops.empty());
  const std::vector<Life> lives = LivesOf(graph);
  for (const Life& a : lives) {
    EXPECT_LE(a.end, graph.arena_bytes);
    for (const Life& b : lives) {
      if (&a == &b || a.first > b.first || b.first > a.last) continue;
      if (a.end <= b.begin || b.end <= a.begin) continue;
      EXPECT_TRUE(MadeInPlace(graph, a, b) || MadeInPlace(graph, b, a))
          << "values " << a.id << " and " << b.id;
    }
  }
}

}  // namespace pocketune::test
