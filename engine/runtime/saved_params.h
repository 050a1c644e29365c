// What of a plan's parameters goes into a checkpoint, and the way back.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/checkpoint/checkpoint_file.h"
#include "engine/runtime/plan_params.h"
#include "pocketune/session.h"

namespace pocketune {

// Writes what learns and what has learned before, in the model's order, behind it the states by
// name, and the store's number of steps. Errors as Session::Save.
Status SaveParams(const PlanParams& params, std::string_view user, uint64_t generation,
                  const char* path);

// Takes what belongs to this plan; nothing is changed on error. `report` may be null. Errors as
// Session::Restore, for what CheckpointFile::Open has let pass.
Status RestoreParams(const CheckpointFile& file, PlanParams& params, RestoreReport* report);

}  // namespace pocketune
