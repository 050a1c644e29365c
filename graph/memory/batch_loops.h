// Which nodes run on parts of the batch, one part after the other, so that what they hand on to
// each other stays in the caches.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/ops/batch_part.h"
#include "graph/ir/graph.h"

namespace pocketune {

// A loop, and what becomes of the nodes that it stands among.
struct LoopPlan {
  std::vector<NodeId> order;  // what runs part by part, then what stood between and is left out
  size_t looped = 0;          // how many of them run part by part; 0 where there is no loop
  int parts = 0;
};

// Samples that run together: dimension 0 of the first input; 1 where there is none.
int64_t BatchOf(const Graph& graph);

// Finds loops that pay. Tensors of at most `cached_bytes` are read from a cache anyway, and parts
// are made so small if the batch allows.
class LoopFinder {
 public:
  LoopFinder(const Graph& graph, int64_t cached_bytes);

  // The loop from the first of `nodes` on, which run in this order. Time grows with the nodes that
  // it goes over.
  LoopPlan StartingAt(std::span<const NodeId> nodes) const;

 private:
  using Members = std::vector<NodeId>;

  bool IsLarge(NodeId n) const;
  Members Grow(std::span<const NodeId> nodes) const;
  void KeepTied(Members& members) const;
  int64_t SavedBytes(const Members& members) const;
  int PartsOf(const Members& members) const;

  const Graph& graph_;
  const int64_t batch_;
  const int64_t cached_bytes_;
  std::vector<std::optional<PartForm>> forms_;  // per node: as one sample after the other
};

// Marks the values that need room for one part alone, given the graph's loops.
void MarkParts(Graph& graph);

}  // namespace pocketune
