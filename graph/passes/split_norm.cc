#include <utility>
#include <vector>

#include "graph/base/status_macros.h"
#include "graph/memory/batch_loops.h"
#include "graph/memory/order_search.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

class NormSplitter {
 public:
  NormSplitter(Graph& graph, int64_t cached_bytes)
      : graph_(graph),
        cached_bytes_(cached_bytes),
        count_(graph.nodes.size()),
        parts_(count_),
        by_(graph.values.size(), kNone) {}

  absl::Status Run() {
    const int64_t batch = BatchOf(graph_);
    for (size_t n = 0; n < count_; ++n) {
      const Node node = graph_.nodes[n];
      if (node.op != OpKind::kBatchNorm && node.op != OpKind::kBatchNormGrad) continue;
      const Value& x = graph_.value(node.operands[0]);
      if (batch == 1 || x.type.shape[0] != batch || x.type.shape.rank() < 3) continue;
      if (x.bytes() <= cached_bytes_) continue;
      PT_TRY(node.op == OpKind::kBatchNorm ? SplitNorm(n, node) : SplitGrad(n, node));
    }
    Finish();
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::vector<ValueId>> Add(size_t n, OpKind op, std::vector<ValueId> operands,
                                           Attrs attrs) {
    const Node& like = graph_.nodes[n];
    PT_TRY_ASSIGN(const NodeId node,
                  graph_.AddNode(op, std::move(operands), std::move(attrs), like.phase, like.loc));
    parts_[n].push_back(node);
    return graph_.nodes[node].results;
  }

  void Replace(const std::vector<ValueId>& from, const std::vector<ValueId>& to) {
    for (size_t i = 0; i < from.size(); ++i) {
      by_[from[i]] = to[i];
      graph_.value(to[i]).name = graph_.value(from[i]).name;
    }
  }

  absl::Status SplitNorm(size_t n, const Node& norm) {
    const ValueId x = norm.operands[0];
    const Shape& shape = graph_.shape(x);
    const int64_t rows = shape.elems() / (shape[0] * shape[-1]);
    PT_TRY_ASSIGN(const auto moments, Add(n, OpKind::kBatchNormMoments, {x}, NoAttrs{}));
    PT_TRY_ASSIGN(const auto statistics,
                  Add(n, OpKind::kBatchNormStatistics, {moments[0]}, MomentsAttrs{rows}));
    const ValueId mean = statistics[0], var = statistics[1];
    PT_TRY_ASSIGN(const auto y,
                  Add(n, OpKind::kBatchNormFrozen,
                      {x, norm.operands[1], norm.operands[2], mean, var}, norm.attrs));
    Replace(norm.results, {y[0], mean, var});
    return absl::OkStatus();
  }

  absl::Status SplitGrad(size_t n, const Node& grad) {
    const auto& attrs = std::get<NormAttrs>(grad.attrs);
    const Shape& shape = graph_.shape(grad.operands[0]);
    PT_TRY_ASSIGN(const auto params, Add(n, OpKind::kBatchNormGradParams, grad.operands, attrs));
    const ValueId dscale = params[0], dshift = params[1];
    std::vector<ValueId> operands = grad.operands;
    operands.insert(operands.begin() + 5, {dscale, dshift});
    PT_TRY_ASSIGN(
        const auto dx,
        Add(n, OpKind::kBatchNormGradInput, std::move(operands),
            NormGradAttrs{.eps = attrs.eps, .count = shape.elems() / shape[-1], .act = attrs.act}));
    Replace(grad.results, {dx[0], dscale, dshift});
    return absl::OkStatus();
  }

  // The new nodes run where the old ones did, which go.
  void Finish() {
    by_.resize(graph_.values.size(), kNone);
    for (Node& node : graph_.nodes) {
      for (ValueId& id : node.operands) id = by_[id] == kNone ? id : by_[id];
    }
    for (Output& output : graph_.outputs) {
      if (by_[output.value] != kNone) output.value = by_[output.value];
    }
    std::vector<NodeId> order;
    std::vector<bool> keep;
    for (size_t n = 0; n < count_; ++n) {
      order.insert(order.end(), parts_[n].begin(), parts_[n].end());
      keep.insert(keep.end(), parts_[n].size(), true);
      order.push_back(static_cast<NodeId>(n));
      keep.push_back(parts_[n].empty());
    }
    ApplyOrder(graph_, order);
    graph_.Compact(keep);
  }

  Graph& graph_;
  const int64_t cached_bytes_;
  const size_t count_;                      // nodes before the first new one
  std::vector<std::vector<NodeId>> parts_;  // per old node: what takes its place
  std::vector<ValueId> by_;                 // per old value: the new one
};

}  // namespace

// Splits normalizations by the batch, and their gradients, of tensors that no cache holds into what
// can run part by part and what waits for the whole batch: the statistics, and the sums that the
// gradient needs. `loop_batch` then runs the former together with the layers around.
absl::Status RunSplitNorm(Graph& graph, PassContext& context) {
  return NormSplitter(graph, context.cached_bytes).Run();
}

}  // namespace pocketune
