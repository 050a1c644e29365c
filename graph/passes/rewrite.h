// What several passes ask of a graph while they edit it.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// Computes the same from the same operands whenever it runs, and does nothing else.
inline bool IsPure(const Node& node) {
  return !node.info().Has(kUpdate) && node.op != OpKind::kDropout;
}

// Picks slices of what the forward pass made for the backward pass.
inline bool IsPick(const Node& node) {
  return node.op == OpKind::kGather && node.phase == Phase::kForward;
}

// Its data is known at compile time and no step changes it.
inline bool IsFixed(const Value& value) {
  return value.data != nullptr &&
         (value.kind == ValueKind::kConst || (value.kind == ValueKind::kParam && !value.trainable));
}

// The activation in a node's attributes, or nullptr where the op fuses none.
Act* ActOf(Attrs& attrs);

// What lets the gradient pass in a gradient of the backward pass that asks nothing else of its
// operand 1.
std::optional<GateAttrs> GateOf(const Node& node);

// For each value how many operands and outputs it is.
std::vector<int> CountUses(const Graph& graph);

bool IsOutput(const Graph& graph, ValueId id);

// Puts values in the place of others while a pass goes over the nodes in order: a node is brought
// up to date when its turn comes, since only nodes behind a value's producer read it.
class Replacer {
 public:
  explicit Replacer(Graph& graph) : graph_(graph) {}
  // Every output, and every operand of nodes still to come, that was `from` becomes `to`, which is
  // itself not replaced.
  void Replace(ValueId from, ValueId to);
  // To be called for each node, in order, before anything is read of it.
  void Update(Node& node) const;

 private:
  Graph& graph_;
  std::vector<ValueId> by_;  // per value: what replaces it, or kNone
};

// Appends constants under names of their own.
class ConstAdder {
 public:
  // From here on only this adds constants to `graph`.
  explicit ConstAdder(Graph& graph);
  // The constant is called `name`, with underscores behind it where that is taken.
  ValueId Add(const std::string& name, Shape shape, std::vector<float> data);

 private:
  Graph& graph_;
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, std::string> last_;  // per name asked for: the last one given
};

// Runs the nodes in_front[n] right before node n, in that order, and not where they were: each may
// stand in front of one other at most, which itself stays.
void MoveInFront(Graph& graph, const std::vector<std::vector<NodeId>>& in_front);

// Drops all nodes from which no output and no update depends.
void RemoveDeadNodes(Graph& graph);

}  // namespace pocketune
