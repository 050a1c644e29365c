// Random models and random schemes for them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/loss.h"
#include "engine/base/rng.h"
#include "sparse_bp/scheme.h"
#include "tests/support/random_graph.h"

namespace pocketune::test {

// Of each parameter another update.
inline UpdateScheme RandomScheme(const Graph& graph, uint64_t seed) {
  const RandomStream random(seed, "scheme");
  UpdateScheme scheme;
  scheme.text = "random " + std::to_string(seed);
  scheme.kind = UpdateScheme::Kind::kRules;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    if (value.kind != ValueKind::kParam || value.role == ParamRole::kNormMean ||
        value.role == ParamRole::kNormVar) {
      continue;
    }
    Update update = Update::Channels(random.Uniform(4 * i + 1));
    update.order = static_cast<ChannelOrder>(random.Below(4 * i + 2, 3));
    update.seed = seed;
    if (random.Below(4 * i, 3) == 0) update = Update::kNone;
    if (random.Below(4 * i, 3) == 1) update = Update::kAll;
    scheme.rules.push_back({value.name, update});
  }
  return scheme;
}

// A random model of which every parameter learns under "full": what the loss does not depend on is
// no parameter of it.
inline absl::StatusOr<Graph> RandomModel(uint64_t seed) {
  Graph graph = RandomGraph(seed).Take();
  const absl::StatusOr<ValueId> loss =
      AttachClassificationLoss(graph, graph.FindOutput("logits"), 0.1);
  if (!loss.ok()) return loss.status();
  std::vector<bool> needed(graph.values.size());
  for (const Output& output : graph.outputs) needed[output.value] = true;
  std::vector<bool> keep(graph.nodes.size());
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    for (ValueId id : graph.nodes[n].results) keep[n] = keep[n] || needed[id];
    if (!keep[n]) continue;
    for (ValueId id : graph.nodes[n].operands) needed[id] = true;
  }
  graph.Compact(keep);
  return graph;
}

}  // namespace pocketune::test
