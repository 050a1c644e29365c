#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/ir/builder.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

// PyTorch's default: the weight of the new batch in the running statistics.
constexpr double kMomentum = 0.1;

}  // namespace

// Turns batch_norm_frozen into batch_norm, which normalizes by the batch's own statistics, and adds
// the update of the running ones, which are trainable from then on. For forward graphs, before
// autodiff: the gradient through the statistics follows from the op.
absl::Status RunUseBatchStatistics(Graph& graph, PassContext&) {
  if (graph.stage != Stage::kForward) {
    return absl::FailedPreconditionError("use_batch_statistics: needs a forward graph");
  }
  GraphBuilder updates(&graph, Phase::kUpdate);
  const size_t count = graph.nodes.size();
  for (size_t n = 0; n < count; ++n) {
    if (graph.nodes[n].op != OpKind::kBatchNormFrozen) continue;
    const std::vector<ValueId> operands = graph.nodes[n].operands;
    const ValueId running[2] = {operands[3], operands[4]};
    for (ValueId id : running) {
      Value& param = graph.value(id);
      if (param.kind != ValueKind::kParam || param.trainable) {
        return absl::InvalidArgumentError(absl::StrCat(
            graph.nodes[n].loc,
            ": batch_norm_frozen: its statistics are no parameters of its own (value \"",
            param.name, "\")"));
      }
      param.trainable = true;
    }
    Node& node = graph.nodes[n];
    node.op = OpKind::kBatchNorm;
    node.operands.resize(3);
    for (int i = 1; i < 3; ++i) {
      Value statistic;
      statistic.type = graph.type(operands[1]);
      statistic.producer = static_cast<NodeId>(n);
      statistic.result_index = i;
      node.results.push_back(static_cast<ValueId>(graph.values.size()));
      graph.values.push_back(std::move(statistic));
    }
    const Shape& x = graph.shape(operands[0]);
    const NormUpdateAttrs attrs{.momentum = kMomentum, .count = x.elems() / x[-1]};
    updates.set_loc(node.loc);
    updates.Multi(OpKind::kBatchNormUpdate,
                  {running[0], running[1], node.results[1], node.results[2]}, attrs);
  }
  return updates.status();
}

}  // namespace pocketune
