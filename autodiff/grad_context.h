// What a gradient rule sees of the node that it differentiates.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/check.h"
#include "graph/ir/builder.h"

namespace pocketune {

// What BuildBackward knows about the values of the forward graph, indexed by ValueId.
struct GradState {
  std::vector<ValueId> wanted;  // first wanted value that a value depends on; kNone: none
  std::vector<ValueId> grads;   // gradient of the loss so far; kNone: none
  // Of wanted values of which only slices learn.
  std::vector<std::shared_ptr<const LearningSlices>> slices;
  std::map<std::pair<ValueId, int>, ValueId> indices;  // SliceIndex by its arguments
};

// The constant that numbers the slices of `value` that learn, `repeat` times over: those of the
// first group of channels, of the second, and so on.
ValueId SliceIndex(ValueId value, int repeat, GraphBuilder* builder, GradState* state);

// Rules ask for gradients of results, emit nodes with builder(), and set gradients of operands.
// Lives for one call of a rule.
class GradContext {
 public:
  GradContext(const Node& node, GraphBuilder* builder, GradState* state)
      : node_(node), builder_(*builder), state_(*state) {}

  const Node& node() const { return node_; }
  template <class A>
  const A& attrs() const {
    return std::get<A>(node_.attrs);
  }
  int operands() const { return static_cast<int>(node_.operands.size()); }
  ValueId operand(int i) const { return node_.operands[i]; }
  ValueId result(int i = 0) const { return node_.results[i]; }
  // In Phase::kBackward, with the node's loc.
  GraphBuilder& builder() { return builder_; }
  // A copy: the graph's own moves when the builder appends.
  Shape shape(ValueId id) const { return builder_.shape(id); }

  // kNone where the loss does not depend on the result.
  ValueId result_grad(int i = 0) const { return state_.grads[result(i)]; }
  // Does a wanted value lie upstream of operand i? False for an absent optional operand.
  bool needs_grad(int i) const { return i < operands() && state_.wanted[operand(i)] != kNone; }
  // Do only slices of operand i along `axis` learn? Rules that then compute theirs alone save work
  // and memory; Pick says what they need.
  bool learns_slices(int i, int axis) const {
    const auto& slices = state_.slices[operand(i)];
    return slices != nullptr && slices->axis == axis;
  }
  // The slices of x along `axis` that meet those of operand i that learn, in each of `groups`
  // groups. Of an operand of the node, they are picked in the forward pass, so that the rest of it
  // need not be kept.
  ValueId Pick(ValueId x, int axis, int i, int groups = 1);

  // Adds `grad`, shaped as the operand or as its slices that learn, to the operand's gradient.
  // Needs needs_grad(i).
  void set_grad(int i, ValueId grad) {
    PT_CHECK(needs_grad(i));
    const auto& slices = state_.slices[operand(i)];
    if (slices != nullptr && shape(grad) == shape(operand(i))) {
      grad = Pick(grad, slices->axis, i);
    }
    ValueId& sum = state_.grads[operand(i)];
    sum = sum == kNone ? grad : builder_.Op(OpKind::kAdd, {sum, grad});
    given_ |= 1u << i;
  }
  bool given(int i) const { return (given_ >> i & 1) != 0; }

  // The error of a gradient that is wanted and that no rule gives; names op, loc and tensor.
  absl::Status Missing() const;

 private:
  const Node& node_;
  GraphBuilder& builder_;
  GradState& state_;
  uint32_t given_ = 0;
};

}  // namespace pocketune
