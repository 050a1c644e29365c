// The scheme `auto`: as much learns as memory allows.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"

namespace pocketune {

// Does the model fit under this scheme? An error ends the search.
using FitsScheme = std::function<absl::StatusOr<bool>(const std::string& scheme)>;

// The first that fits of full; blocks:K, the largest such K; bias; bias:K; head. "" where none
// does. Of K fewer blocks are taken to need less memory: their number is found by bisection, and
// `fits` was asked last, or last with the answer yes, for the scheme that is returned.
absl::StatusOr<std::string> RichestScheme(const Graph& forward, const FitsScheme& fits);

}  // namespace pocketune
