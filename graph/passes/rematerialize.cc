#include <utility>
#include <vector>

#include "graph/base/status_macros.h"
#include "graph/memory/order_search.h"
#include "graph/memory/remat_search.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

// Writes a plan of second runs into the graph.
class Rematerializer {
 public:
  Rematerializer(Graph& graph, const RematPlan& plan)
      : graph_(graph),
        plan_(plan),
        values_(graph.values.size()),
        second_(graph.values.size(), kNone) {}

  absl::Status Run() {
    std::vector<NodeId> order;
    for (const RematStep& step : plan_.order) {
      NodeId node = step.node;
      if (step.again) {
        PT_TRY_ASSIGN(const NodeId second, RunAgain(graph_.nodes[step.node]));
        node = second;
      } else if (graph_.nodes[node].phase != Phase::kForward) {
        graph_.nodes[node].operands = Instead(std::move(graph_.nodes[node].operands));
      }
      order.push_back(node);
    }
    ApplyOrder(graph_, order);
    return absl::OkStatus();
  }

 private:
  // Second runs stand before their readers: what they make is known by then.
  std::vector<ValueId> Instead(std::vector<ValueId> operands) const {
    for (ValueId& id : operands) {
      const ValueId instead = plan_.instead[id];
      if (instead == kNone) continue;
      const bool second = instead >= static_cast<ValueId>(values_);
      id = second ? second_[instead - static_cast<ValueId>(values_)] : instead;
    }
    return operands;
  }

  // `node` is a copy: the graph's own moves as nodes are appended.
  absl::StatusOr<NodeId> RunAgain(const Node node) {  // NOLINT: see above
    const absl::StatusOr<NodeId> second = graph_.AddNode(
        SecondOpOf(node), Instead(SecondOperandsOf(node)), node.attrs, Phase::kBackward, node.loc);
    if (second.ok()) second_[node.results[0]] = graph_.nodes[*second].results[0];
    return second;
  }

  Graph& graph_;
  const RematPlan& plan_;
  const size_t values_;          // before the first second run
  std::vector<ValueId> second_;  // per value: what its second run made
};

}  // namespace

// Computes saved activations again in the backward pass until no more than live_target_bytes are
// alive at any node, or nothing helps any more; those first that cost least for the bytes that they
// free. The same kernels on the same operands: the step's result keeps its bits. What is left
// without readers in the forward pass waits for dce; second runs have no kernel yet.
absl::Status RunRematerialize(Graph& graph, PassContext& context) {
  if (context.live_target_bytes == kNoLiveTarget) return absl::OkStatus();
  const RematPlan plan = SearchRemat(graph, context.live_target_bytes);
  return Rematerializer(graph, plan).Run();
}

}  // namespace pocketune
