// Counts live bytes while the nodes of a graph are run one after the other, in any valid order.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// The bytes alive after some nodes have run do not depend on their order, so that nodes can be
// taken back. Agrees with LivenessOf on the graph in that order after mark_inplace: a node whose
// result may take the bytes of an operand that nobody reads later is counted as doing so.
class LiveSet {
 public:
  // Before the first node: the inputs are alive. Keeps no reference to `graph`.
  explicit LiveSet(const Graph& graph);

  int64_t live_bytes() const { return live_bytes_; }
  size_t values() const { return bytes_.size(); }  // of the graph
  // Bytes alive while `node` runs, if it runs next.
  int64_t BytesDuring(NodeId node) const;
  // `node` has run. All its predecessors must have.
  void Run(NodeId node);
  // Takes back the last Run that was not taken back.
  void Undo(NodeId node);

  // Roots that `node` reads, each once. How many of their readers have run decides what BytesDuring
  // and Run do with `node`; of those that are not in the arena it decides nothing.
  const std::vector<ValueId>& reads(NodeId node) const { return (*uses_)[node].reads; }
  bool in_arena(ValueId root) const { return bytes_[root] > 0; }
  int64_t bytes(ValueId root) const { return bytes_[root]; }
  // Nodes that still have to read it; of an output one more.
  int readers(ValueId root) const { return readers_[root]; }
  // Roots that `node` defines; those that its result 0 may take the place of at their last reader.
  const std::vector<ValueId>& defines(NodeId node) const { return (*uses_)[node].defines; }
  const std::vector<ValueId>& reuses(NodeId node) const { return (*uses_)[node].reuses; }

 private:
  struct NodeUse {
    std::vector<ValueId> reads;    // roots, each once
    std::vector<ValueId> defines;  // roots
    std::vector<ValueId> reuses;   // roots that result 0 may overwrite
    int64_t scratch_bytes = 0;
  };
  std::shared_ptr<const std::vector<NodeUse>> uses_;  // per node; copies of a set share them
  std::vector<int64_t> bytes_;                        // per root, 0 outside the arena
  std::vector<int> readers_;  // per root: nodes that still have to read it; outputs have one more
  int64_t live_bytes_ = 0;
};

// Largest BytesDuring over `order`.
int64_t PeakBytesOf(const Graph& graph, const std::vector<NodeId>& order);

}  // namespace pocketune
