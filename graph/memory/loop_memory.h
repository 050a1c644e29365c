// What loops over parts of the batch do to the arena's lower bound.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/ir/graph.h"
#include "graph/memory/batch_loops.h"
#include "graph/memory/live_set.h"

namespace pocketune {

// Goes through an order in which loops form. A loop changes what is alive while its nodes and those
// that it leaves out run, and nothing before or behind: only these are counted again. The same
// bytes as LivenessOf on the graph with its loops after mark_inplace, but that no smaller result
// takes the place of its operand.
class LoopMemory {
 public:
  // Before the first node. `peak_bytes`: the arena's lower bound without loops. The graph must
  // outlive this and keep its order.
  LoopMemory(const Graph& graph, int64_t peak_bytes);

  // The next node runs on the whole batch.
  void Run(NodeId node);

  // The loop runs next; `nodes` are those of its nodes, with the scratch for one part. Where the
  // peak would rise it does not, and false.
  bool RunLoop(const LoopPlan& plan, std::span<const Node> nodes);

  int64_t peak_bytes() const { return peak_bytes_; }

 private:
  int64_t RunParts(const LoopPlan& plan, std::span<const Node> nodes);
  void Undo(std::span<const NodeId> order);

  const Graph& graph_;
  LiveSet live_;
  size_t place_ = 0;            // of the next node in the order
  std::vector<int64_t> later_;  // per place: the most that is alive from there on
  int64_t earlier_ = 0;         // the most that was alive so far
  int64_t peak_bytes_;
};

}  // namespace pocketune
