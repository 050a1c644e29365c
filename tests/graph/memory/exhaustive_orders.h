// Every order of a small graph.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "graph/memory/order_search.h"

namespace pocketune::testing {

inline void ForEachOrder(const Graph& graph,
                         const std::function<void(const std::vector<NodeId>&)>& visit) {
  const std::vector<std::vector<NodeId>> before = DependenciesOf(graph);
  std::vector<bool> done(graph.nodes.size(), false);
  std::vector<NodeId> order;
  const auto extend = [&](auto&& self) -> void {
    if (order.size() == done.size()) visit(order);
    for (size_t n = 0; n < done.size(); ++n) {
      const bool ready =
          std::all_of(before[n].begin(), before[n].end(), [&](NodeId m) { return done[m]; });
      if (done[n] || !ready) continue;
      done[n] = true;
      order.push_back(static_cast<NodeId>(n));
      self(self);
      order.pop_back();
      done[n] = false;
    }
  };
  extend(extend);
}

}  // namespace pocketune::testing
