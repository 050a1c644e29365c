// The verifier's errors.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "graph/ir/graph.h"

namespace pocketune {

inline absl::Status Broken(const std::string& where, const std::string& fact) {
  return absl::InvalidArgumentError(absl::StrCat("verify: ", where, ": ", fact));
}

inline absl::Status Broken(const Graph& graph, size_t n, const std::string& fact) {
  const Node& node = graph.nodes[n];
  return Broken(
      absl::StrCat("node ", n, " (", node.info().name, node.loc.empty() ? "" : ", ", node.loc, ")"),
      fact);
}

}  // namespace pocketune
