// Gives every buffer a place in the arena.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/memory/liveness.h"

namespace pocketune {

struct ArenaLayout {
  std::vector<int64_t> offsets;  // per buffer, a multiple of kAlignment
  int64_t bytes = 0;             // where the last buffer ends
};

// Places buffers so that no two that are alive at the same node overlap. Best fit in several
// orders (by size, by lifetime, by their product, by start, by how crowded their steps are); the
// best of these is then improved by placing first what stood highest, and where that is not within
// 1 % of the lower bound, by moving single buffers in these orders. Thousands of buffers are
// stacked in these orders, or placed in the order of time (time_fit.h). Deterministic; time grows
// with the square of the number of buffers, of thousands as n log n.
ArenaLayout PlanArena(const std::vector<Buffer>& buffers);

}  // namespace pocketune
