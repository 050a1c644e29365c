// Which model a plan is of, whatever batch, threads, memory and update scheme it was compiled for.
#pragma once

#include <cstdint>

#include "engine/plan/plan_generated.h"

namespace pocketune {

// By the parameters alone: their names, shapes and roles in the model's order. It serves plans that
// state no identity of their own; never 0.
uint64_t ParamsIdentity(const fb::Plan& plan);

// What the plan states, else ParamsIdentity.
uint64_t ModelIdentityOf(const fb::Plan& plan);

// Is that the identity of this plan's model? A plan that states one also answers to the other: what
// was saved under an older plan of the model has that.
bool IsOfModel(const fb::Plan& plan, uint64_t identity);

}  // namespace pocketune
