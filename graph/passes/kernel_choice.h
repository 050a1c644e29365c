// Which kernel serves a node: the backend's order of preference, or what somebody has measured.
#pragma once

#include <map>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "backends/api/kernel.h"
#include "graph/ir/graph.h"

namespace pocketune {

// Names of kernels by ChoiceKey.
using KernelChoices = std::map<std::string, std::string>;

// Equal for nodes that the same kernels serve in the same time: op, types, which operands are
// constant, attributes. "matmul(f32[8,64], const f32[10,64]) {trans_b=true}".
std::string ChoiceKey(const KernelQuery& query);

// Stateful kernels with what their states depend on, but for the values of constants: a state
// serves any number of samples.
using KernelStateSet = std::set<std::string>;

struct PassContext;

// The kernel that the context's choices name for the query, else the first row that serves it and
// may have its state, else nullptr. INVALID_ARGUMENT where the table lacks the named kernel, or it
// does not serve.
absl::StatusOr<const KernelInfo*> ChooseKernel(const PassContext& context,
                                               const KernelQuery& query);

// Those of a graph at stage kPlanned.
KernelStateSet StatesOf(const Graph& graph, const PassContext& context);

// Gives a node of the graph its kernel and the scratch that it needs to run on one of `parts` parts
// of the batch. False, and the node is as it was, where none serves it. Errors of ChooseKernel.
absl::StatusOr<bool> SetKernel(const Graph& graph, Node& node, const PassContext& context,
                               int parts = 1);

}  // namespace pocketune
