// Numbers that tell models and their weights apart, for plans and checkpoints
// (docs/checkpoint_format.md).
#pragma once

#include <cstdint>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// Of a model's forward graph as it came from its maker: its parameters (name, shape, role, order),
// its operators with what decides them (strides, paddings, activations, ...) and how they are
// joined. Batch and picture size do not count as far as operators do not say them, nor do dropout,
// the values of parameters and what learns. Never 0.
uint64_t ModelIdentity(const Graph& forward);

// Of the values of these parameters, bit by bit, in order; those without data have none. Never 0.
uint64_t WeightsIdentity(const std::vector<Value>& params);

// Of the slices of a parameter that learn, for states of them alone; 0 for all of it.
uint32_t SlicesIdentity(const Value& param);

}  // namespace pocketune
