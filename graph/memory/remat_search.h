// Which saved activations a backward pass computes again instead of keeping them.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// A node in its place, or a second run of a forward node for the backward pass.
struct RematStep {
  NodeId node = kNone;
  bool again = false;
};

struct RematPlan {
  std::vector<RematStep> order;
  // Per value: what backward nodes and second runs read in its place. kNone: the value itself; a
  // value of the graph: a twin that is there already; values.size() + v: the second run of v.
  std::vector<ValueId> instead;
  int64_t peak_bytes = 0;  // largest sum of live bytes over `order`, as PeakBytesOf counts
  double extra_ns = 0.0;   // time of the second runs by step_cost.h
  int second_runs = 0;
};

// Looks for values whose second computation costs least for the bytes that it frees, until at most
// `target_bytes` are alive at any node or nothing helps any more, and then takes back what was not
// needed. Operands of a second run that are gone are kept longer or computed again themselves,
// whichever is better. Every value is computed at most twice; outputs are kept. The graph's order
// is final but for the second runs and nothing is marked in-place but views. Deterministic; time
// grows with nodes * min(saved values, 256).
RematPlan SearchRemat(const Graph& graph, int64_t target_bytes);

// What a second run of `node` is: its op and operands. A normalization by batch statistics runs
// again with the statistics that it found, which gives the same bits for less work.
OpKind SecondOpOf(const Node& node);
std::vector<ValueId> SecondOperandsOf(const Node& node);

}  // namespace pocketune
