#include "graph/memory/batch_loops.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "graph/ir/part_form.h"
#include "graph/memory/liveness.h"

namespace pocketune {
namespace {

// A loop ends where so many nodes in a row cannot join it.
constexpr size_t kMostLeftOut = 48;

// Grows one loop from a node on.
class LoopGrower {
 public:
  LoopGrower(const Graph& graph, int64_t batch, int64_t cached_bytes)
      : graph_(graph),
        batch_(batch),
        cached_bytes_(cached_bytes),
        forms_(graph.nodes.size()),
        state_(graph.values.size(), State::kBefore) {
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      forms_[n] = PartFormOf(graph, graph.nodes[n], static_cast<int>(batch));
    }
  }

  bool CanStart(NodeId n) const { return forms_[n].has_value() && IsLarge(n); }

  LoopPlan GrowFrom(NodeId first) {
    std::fill(state_.begin(), state_.end(), State::kBefore);
    members_.clear();
    size_t left_out = 0, large = 0;  // members up to the last large one
    for (NodeId n = first; n < static_cast<NodeId>(graph_.nodes.size()); ++n) {
      const bool joins = CanJoin(n);
      const State state = !joins ? State::kBehind : forms_[n]->sums ? State::kSum : State::kPart;
      for (ValueId id : graph_.nodes[n].results) state_[id] = state;
      left_out = joins ? 0 : left_out + 1;
      if (left_out > kMostLeftOut) break;
      if (!joins) continue;
      members_.push_back(n);
      if (IsLarge(n)) large = members_.size();
    }
    members_.resize(large);
    KeepConnected();
    return SavedBytes() < cached_bytes_ ? LoopPlan{} : Plan(first);
  }

 private:
  enum class State { kBefore, kPart, kSum, kBehind };

  bool IsLarge(NodeId n) const {
    const Node& node = graph_.nodes[n];
    for (size_t i = 0; i < node.operands.size(); ++i) {
      if (forms_[n]->cuts(i) && graph_.value(node.operands[i]).bytes() > cached_bytes_) return true;
    }
    return !forms_[n]->sums && graph_.value(node.results[0]).bytes() > cached_bytes_;
  }

  // All that the node reads is there, part by part where it reads it so.
  bool CanJoin(NodeId n) const {
    if (!forms_[n].has_value()) return false;
    const Node& node = graph_.nodes[n];
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const State state = state_[node.operands[i]];
      if (state == State::kBefore || (state == State::kPart && forms_[n]->cuts(i))) continue;
      return false;
    }
    return true;
  }

  // Drops members that share no tensor of samples with the first, directly or through others.
  void KeepConnected() {
    std::vector<ValueId> group(graph_.values.size());
    for (size_t i = 0; i < group.size(); ++i) group[i] = static_cast<ValueId>(i);
    const auto find = [&](ValueId id) {
      while (group[id] != id) id = group[id] = group[group[id]];
      return id;
    };
    for (NodeId n : members_) {
      const Node& node = graph_.nodes[n];
      const ValueId result = find(node.results[0]);
      for (size_t i = 0; i < node.operands.size(); ++i) {
        if (forms_[n]->cuts(i)) group[find(node.operands[i])] = result;
      }
    }
    const ValueId first = find(graph_.nodes[members_[0]].results[0]);
    std::erase_if(members_, [&](NodeId n) { return find(graph_.nodes[n].results[0]) != first; });
  }

  // Of large values: what need not be read from memory again, since a member has just made or read
  // it.
  int64_t SavedBytes() const {
    std::vector<bool> touched(graph_.values.size(), false);
    int64_t bytes = 0;
    for (NodeId n : members_) {
      const Node& node = graph_.nodes[n];
      for (size_t i = 0; i < node.operands.size(); ++i) {
        const ValueId id = node.operands[i];
        if (!forms_[n]->cuts(i) || graph_.value(id).bytes() <= cached_bytes_) continue;
        if (touched[id]) bytes += graph_.value(id).bytes();
        touched[id] = true;
      }
      touched[node.results[0]] = true;
    }
    return bytes;
  }

  int Parts() const {
    int64_t largest = 0;
    for (NodeId n : members_) {
      const Node& node = graph_.nodes[n];
      for (size_t i = 0; i < node.operands.size(); ++i) {
        if (forms_[n]->cuts(i)) largest = std::max(largest, graph_.value(node.operands[i]).bytes());
      }
      if (!forms_[n]->sums) largest = std::max(largest, graph_.value(node.results[0]).bytes());
    }
    int64_t parts = 2;
    while (parts < batch_ && (batch_ % parts != 0 || largest > parts * cached_bytes_)) ++parts;
    return static_cast<int>(parts);
  }

  LoopPlan Plan(NodeId first) const {
    LoopPlan plan;
    std::vector<bool> member(graph_.nodes.size(), false);
    for (NodeId n : members_) member[n] = true;
    for (NodeId n = 0; n < first; ++n) plan.order.push_back(n);
    plan.order.insert(plan.order.end(), members_.begin(), members_.end());
    for (NodeId n = first; n < static_cast<NodeId>(graph_.nodes.size()); ++n) {
      if (!member[n]) plan.order.push_back(n);
    }
    plan.loop = {first, first + static_cast<NodeId>(members_.size()) - 1, Parts()};
    return plan;
  }

  const Graph& graph_;
  const int64_t batch_;
  const int64_t cached_bytes_;
  std::vector<std::optional<PartForm>> forms_;  // per node: as one sample after the other
  std::vector<State> state_;                    // per value, for the loop at hand
  std::vector<NodeId> members_;
};

}  // namespace

int64_t BatchOf(const Graph& graph) {
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kInput && value.type.shape.rank() > 0) return value.type.shape[0];
  }
  return 1;
}

LoopPlan FindBatchLoop(const Graph& graph, NodeId begin, int64_t cached_bytes) {
  const int64_t batch = BatchOf(graph);
  LoopPlan plan;
  plan.loop.parts = 0;
  if (batch == 1) return plan;
  LoopGrower grower(graph, batch, cached_bytes);
  for (NodeId n = begin; n < static_cast<NodeId>(graph.nodes.size()); ++n) {
    if (!grower.CanStart(n)) continue;
    LoopPlan found = grower.GrowFrom(n);
    if (!found.order.empty()) return found;
  }
  return plan;
}

void MarkParts(Graph& graph) {
  const std::vector<ValueId> roots = AliasRootsOf(graph);
  const std::vector<const BatchLoop*> loop_of = LoopsOf(graph);
  const auto loop_making = [&](ValueId id) -> const BatchLoop* {
    const Value& value = graph.value(id);
    if (value.kind != ValueKind::kResult || loop_of[value.producer] == nullptr) return nullptr;
    const BatchLoop* loop = loop_of[value.producer];
    return PartFormOf(graph, graph.nodes[value.producer], loop->parts)->sums ? nullptr : loop;
  };
  // Per group: the loop that all of it belongs to.
  std::vector<const BatchLoop*> home(graph.values.size(), nullptr);
  for (size_t i = 0; i < roots.size(); ++i) {
    if (roots[i] == static_cast<ValueId>(i)) home[i] = loop_making(roots[i]);
  }
  const auto leaves = [&](ValueId id, const BatchLoop* loop) {
    if (home[roots[id]] != loop) home[roots[id]] = nullptr;
  };
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId id : graph.nodes[n].operands) leaves(id, loop_of[n]);
    for (ValueId id : graph.nodes[n].results) leaves(id, loop_making(id));
  }
  for (const Output& output : graph.outputs) leaves(output.value, nullptr);
  for (size_t i = 0; i < roots.size(); ++i) {
    if (home[roots[i]] != nullptr) graph.values[i].parts = home[roots[i]]->parts;
  }
}

}  // namespace pocketune
