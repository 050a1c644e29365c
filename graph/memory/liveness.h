// Who shares bytes with whom, and from when to when those bytes are needed. One definition of both,
// which the scheduler, the planner, the plan writer and the reports use.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// Bytes of the arena that are needed while the nodes [first, last] run. All values of an alias
// group share one buffer; scratch of a node is a buffer of that one node.
struct Buffer {
  ValueId root = kNone;       // the first value of the group, or
  NodeId scratch_of = kNone;  // the node that the scratch belongs to
  int64_t bytes = 0;          // a multiple of kAlignment
  int first = 0;
  int last = 0;

  bool Overlaps(const Buffer& other) const { return first <= other.last && other.first <= last; }
};

struct Liveness {
  std::vector<ValueId> roots;       // see AliasRootsOf
  std::vector<int> buffer_of;       // per value: index into buffers, kNone if not in the arena
  std::vector<Buffer> buffers;      // of values in order of definition, then scratch in node order
  std::vector<int64_t> live_bytes;  // per node: what the buffers alive at it add up to
  int64_t lower_bound_bytes = 0;    // the largest of live_bytes: no arena can be smaller
};

// For each value the value whose bytes it takes, itself where it has its own. Views and nodes that
// are marked in-place hand on operand 0, where that is an input or a result (a view of a parameter
// or a constant is a copy in the arena); results of updates are the parameters they overwrite.
std::vector<ValueId> AliasRootsOf(const Graph& graph);

// May `node` write result 0 over operand `operand`? What does not depend on the order: the op
// allows it for that operand (the second one too for add and mul of equal types), types are equal,
// and the bytes are neither an input's, a parameter's nor a constant's.
bool FitsInPlace(const Graph& graph, const std::vector<ValueId>& roots, const Node& node,
                 int operand);

// May `node` write a smaller result over operand 0? The same, but for the types. The group keeps
// the operand's bytes as long as the result lives, so it pays at a peak alone: LiveSet, and so the
// search for an order, does not count on it.
bool ShrinksInPlace(const Graph& graph, const std::vector<ValueId>& roots, const Node& node);

// Inputs are alive from node 0 to their last reader, read or not, outputs from their producer to
// the last node, other results from their producer to the last reader of their group. Results that
// nobody reads have no buffer; neither have parameters and constants, which live outside the arena.
// What a loop over parts of the batch makes or reads whole is alive as long as the loop runs.
Liveness LivenessOf(const Graph& graph);

}  // namespace pocketune
