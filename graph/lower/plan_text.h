// From a plan back to the text of its schedules: what `inspect` shows.
#pragma once

#include <string>

#include "engine/plan/plan_generated.h"
#include "graph/ir/graph.h"
#include "graph/ir/text.h"

namespace pocketune {

// The schedule as a graph of stage kPlanned that has the same values, nodes and places, with all
// `data` null; constants, whose names a plan does not keep, are called "const@<offset>". Parameters
// that any schedule trains are marked trainable. The plan must have passed VerifyPlan.
Graph GraphOfSchedule(const fb::Plan& plan, const fb::Schedule& schedule);

// The IR text of all schedules, one after the other. The plan must have passed VerifyPlan.
std::string PlanText(const fb::Plan& plan, const PrintOptions& options = {});

}  // namespace pocketune
