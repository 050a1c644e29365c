// Which kernel serves a node: the backend's order of preference, or what somebody has measured.
#pragma once

#include <map>
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

// The kernel that `choices` (may be null) names for the query, else the first row that serves it,
// else nullptr. INVALID_ARGUMENT where the table lacks the named kernel, or it does not serve.
absl::StatusOr<const KernelInfo*> ChooseKernel(KernelTable table, const KernelChoices* choices,
                                               const KernelQuery& query);

struct PassContext;

// Gives a node of the graph its kernel and the scratch that it needs to run on one of `parts` parts
// of the batch. False, and the node is as it was, where none serves it. Errors of ChooseKernel.
absl::StatusOr<bool> SetKernel(const Graph& graph, Node& node, const PassContext& context,
                               int parts = 1);

}  // namespace pocketune
