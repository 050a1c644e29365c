// Places buffers as an allocator would that sees them come and go.
#pragma once

#include <vector>

#include "graph/memory/arena_planner.h"

namespace pocketune {

// In the order of the nodes: what ends gives its place back, what starts takes the smallest free
// place that holds it, the largest buffer first; where there is none the arena grows. Time grows as
// n log n.
ArenaLayout FitInTime(const std::vector<Buffer>& buffers);

}  // namespace pocketune
