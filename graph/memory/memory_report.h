// What lies where in the arena and when, for people and for the report page.
#pragma once

#include <string>

#include "graph/ir/graph.h"

namespace pocketune {

// The graph is planned. One line per buffer, "[first,last] offset bytes name", by offset, after a
// line with arena, lower bound and the node of the peak. A buffer is named after its first value,
// scratch after its node.
std::string MemoryMapText(const Graph& graph);

// The same as one JSON object:
//   {"arena_bytes", "lower_bound_bytes", "peak_step",
//    "phases": [{"phase": "fwd", "first", "last"}]   runs of equal phase, in order,
//    "live_bytes": [per step],
//    "steps": [{"op", "loc"}],
//    "buffers": [{"name", "first", "last", "offset", "bytes", "scratch"}]}
std::string MemoryMapJson(const Graph& graph);

}  // namespace pocketune
