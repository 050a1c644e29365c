#include <algorithm>
#include <utility>

#include "graph/base/status_macros.h"
#include "graph/memory/order_search.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

class NormRecomputer {
 public:
  explicit NormRecomputer(Graph& graph)
      : graph_(graph), users_(UsersOf(graph)), count_(graph.nodes.size()) {}

  absl::Status Run() {
    for (size_t n = 0; n < count_; ++n) {
      if (graph_.nodes[n].op != OpKind::kBatchNorm || !IsInputKept(graph_.nodes[n])) continue;
      PT_TRY(Recompute(static_cast<NodeId>(n)));
    }
    ApplyOrder(graph_, Order());
    return absl::OkStatus();
  }

 private:
  bool IsBackward(NodeId n) const { return graph_.nodes[n].phase == Phase::kBackward; }

  // The backward pass reads the normalization's input anyway.
  bool IsInputKept(const Node& norm) const {
    const std::vector<NodeId>& readers = users_[norm.operands[0]];
    return std::any_of(readers.begin(), readers.end(), [&](NodeId n) { return IsBackward(n); });
  }

  // A twin of the normalization stands before the first backward reader of its result, and all of
  // those read the twin's.
  absl::Status Recompute(NodeId n) {
    const Node norm = graph_.nodes[n];
    std::vector<NodeId> readers = users_[norm.results[0]];
    std::erase_if(readers, [&](NodeId id) { return !IsBackward(id); });
    if (readers.empty()) return absl::OkStatus();
    std::vector<ValueId> operands = norm.operands;
    operands.insert(operands.end(), {norm.results[1], norm.results[2]});
    PT_TRY_ASSIGN(const NodeId twin, graph_.AddNode(OpKind::kBatchNormFrozen, operands, norm.attrs,
                                                    Phase::kBackward, norm.loc));
    for (NodeId reader : readers) {
      std::vector<ValueId>& read = graph_.nodes[reader].operands;
      std::replace(read.begin(), read.end(), norm.results[0], graph_.nodes[twin].results[0]);
    }
    twins_.push_back({readers.front(), twin});
    return absl::OkStatus();
  }

  std::vector<NodeId> Order() {
    std::sort(twins_.begin(), twins_.end());
    std::vector<NodeId> order;
    size_t next = 0;
    for (size_t n = 0; n < count_; ++n) {
      for (; next < twins_.size() && twins_[next].first == static_cast<NodeId>(n); ++next) {
        order.push_back(twins_[next].second);
      }
      order.push_back(static_cast<NodeId>(n));
    }
    return order;
  }

  Graph& graph_;
  std::vector<std::vector<NodeId>> users_;
  const size_t count_;                            // nodes before the first twin
  std::vector<std::pair<NodeId, NodeId>> twins_;  // first reader, twin
};

}  // namespace

// Keeps of each batch normalization its input for the backward pass, never the result as well: that
// is computed again, from the statistics of the forward pass, where the backward pass reads it.
// About half of the saved activations of a network in training mode go, and on networks larger than
// the caches the second computation costs less than writing and reading the result did.
absl::Status RunRecomputeNorm(Graph& graph, PassContext&) { return NormRecomputer(graph).Run(); }

}  // namespace pocketune
