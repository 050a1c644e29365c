#include "graph/memory/batch_loops.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "graph/ir/part_form.h"
#include "graph/memory/liveness.h"

namespace pocketune {
namespace {

// A loop ends where so many nodes in a row cannot join it or share nothing with it.
constexpr size_t kMostLeftOut = 48;

// Of what the nodes since a loop's first one have made.
enum class State { kPart, kSum, kBehind };
using States = std::unordered_map<ValueId, State>;

// All that the node reads is there, part by part where it reads it so.
bool CanJoin(const Node& node, const std::optional<PartForm>& form, const States& states) {
  if (!form.has_value()) return false;
  for (size_t i = 0; i < node.operands.size(); ++i) {
    const auto state = states.find(node.operands[i]);
    if (state == states.end() || (state->second == State::kPart && form->cuts(i))) continue;
    return false;
  }
  return true;
}

// Which nodes share tensors of samples with the first that has joined, directly or through others.
class Ties {
 public:
  void Join(const Node& node, const PartForm& form) {
    const ValueId result = Find(node.results[0]);
    if (first_ == kNone) first_ = result;
    for (size_t i = 0; i < node.operands.size(); ++i) {
      if (form.cuts(i)) group_[Find(node.operands[i])] = result;
    }
  }
  bool WithFirst(const Node& node) { return Find(node.results[0]) == Find(first_); }

 private:
  ValueId Find(ValueId id) {
    for (;;) {
      ValueId& up = group_.try_emplace(id, id).first->second;
      if (up == id) return id;
      id = up = group_[up];
    }
  }

  std::unordered_map<ValueId, ValueId> group_;
  ValueId first_ = kNone;
};

}  // namespace

int64_t BatchOf(const Graph& graph) {
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kInput && value.type.shape.rank() > 0) return value.type.shape[0];
  }
  return 1;
}

LoopFinder::LoopFinder(const Graph& graph, int64_t cached_bytes)
    : graph_(graph),
      batch_(BatchOf(graph)),
      cached_bytes_(cached_bytes),
      forms_(graph.nodes.size()) {
  if (batch_ == 1) return;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    forms_[n] = PartFormOf(graph, graph.nodes[n], static_cast<int>(batch_));
  }
}

LoopPlan LoopFinder::StartingAt(std::span<const NodeId> nodes) const {
  if (!forms_[nodes[0]].has_value() || !IsLarge(nodes[0])) return {};
  Members members = Grow(nodes);
  KeepTied(members);
  if (SavedBytes(members) < cached_bytes_) return {};
  LoopPlan plan{.order = members, .looped = members.size(), .parts = PartsOf(members)};
  for (size_t joined = 0; joined < members.size(); nodes = nodes.subspan(1)) {
    if (nodes[0] == members[joined]) {
      ++joined;
    } else {
      plan.order.push_back(nodes[0]);
    }
  }
  return plan;
}

bool LoopFinder::IsLarge(NodeId n) const {
  const Node& node = graph_.nodes[n];
  for (size_t i = 0; i < node.operands.size(); ++i) {
    if (forms_[n]->cuts(i) && graph_.value(node.operands[i]).bytes() > cached_bytes_) return true;
  }
  return !forms_[n]->sums && graph_.value(node.results[0]).bytes() > cached_bytes_;
}

// Ends with the last large node that can join.
LoopFinder::Members LoopFinder::Grow(std::span<const NodeId> nodes) const {
  States states;
  Ties ties;
  Members members;
  size_t left_out = 0, large = 0;  // members up to the last large one
  for (NodeId n : nodes) {
    const Node& node = graph_.nodes[n];
    const bool joins = CanJoin(node, forms_[n], states);
    const State state = !joins ? State::kBehind : forms_[n]->sums ? State::kSum : State::kPart;
    for (ValueId id : node.results) states[id] = state;
    if (joins) {
      ties.Join(node, *forms_[n]);
      members.push_back(n);
      if (IsLarge(n)) large = members.size();
    }
    left_out = joins && ties.WithFirst(node) ? 0 : left_out + 1;
    if (left_out > kMostLeftOut) break;
  }
  members.resize(large);
  return members;
}

void LoopFinder::KeepTied(Members& members) const {
  Ties ties;
  for (NodeId n : members) ties.Join(graph_.nodes[n], *forms_[n]);
  std::erase_if(members, [&](NodeId n) { return !ties.WithFirst(graph_.nodes[n]); });
}

// Of large values: what need not be read from memory again, since a member has just made or read
// it.
int64_t LoopFinder::SavedBytes(const Members& members) const {
  std::unordered_set<ValueId> touched;
  int64_t bytes = 0;
  for (NodeId n : members) {
    const Node& node = graph_.nodes[n];
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const Value& value = graph_.value(node.operands[i]);
      if (!forms_[n]->cuts(i) || value.bytes() <= cached_bytes_) continue;
      if (!touched.insert(node.operands[i]).second) bytes += value.bytes();
    }
    touched.insert(node.results[0]);
  }
  return bytes;
}

int LoopFinder::PartsOf(const Members& members) const {
  int64_t largest = 0;
  for (NodeId n : members) {
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
