// What a step would take on a nominal machine: the compiler's yardstick where plans differ in time.
#pragma once

#include "graph/ir/graph.h"

namespace pocketune {

// The nominal machine is one core of a current processor: 40 G multiply-accumulates and 10 GB moved
// to or from memory a second, and a microsecond for each node on top. Only ratios of these times
// mean anything; plans are compared by them, devices are not.
inline constexpr double kMacsPerNs = 40.0;
inline constexpr double kBytesPerNs = 10.0;
inline constexpr double kNodeNs = 1000.0;

// The roofline of one node: whatever takes longer of its multiply-accumulates and of reading each
// operand and writing each result once. Views that share their operand's bytes take no time.
double CostNs(const Graph& graph, const Node& node);

// All nodes, one after the other.
double CostNs(const Graph& graph);

}  // namespace pocketune
