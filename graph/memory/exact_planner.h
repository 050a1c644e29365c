// The smallest arena, by branch and bound: the yardstick of the heuristic planner, and for small
// graphs the planner.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/memory/arena_planner.h"

namespace pocketune {

// Buffers up to which the search as a rule ends within its budget.
inline constexpr int kExactBuffers = 20;

// A layout with the smallest possible number of bytes, or nullopt where `max_visits` placements
// did not suffice to prove one. Deterministic.
std::optional<ArenaLayout> PlanArenaExactly(const std::vector<Buffer>& buffers,
                                            int64_t max_visits = 2'000'000);

}  // namespace pocketune
