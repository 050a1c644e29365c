// Writes nodes with less ceremony: frontends and gradient rules read like the formulas they mean.
#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// Appends nodes to a graph. The first error sticks: later calls do nothing and return kNone, so
// that a whole model is written without a check a line; ask status() at the end.
class GraphBuilder {
 public:
  explicit GraphBuilder(Graph* graph, Phase phase = Phase::kForward)
      : graph_(graph), phase_(phase) {}

  const absl::Status& status() const { return status_; }
  Graph& graph() { return *graph_; }
  // Written into every node from here on.
  void set_loc(std::string loc) { loc_ = std::move(loc); }
  const std::string& loc() const { return loc_; }
  void set_phase(Phase phase) { phase_ = phase; }
  void Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  // All results of a node; kNone each after an error. Operands of value kNone at the end of the
  // list are absent optional ones.
  std::vector<ValueId> Multi(OpKind op, std::vector<ValueId> operands, Attrs attrs);
  // Result 0. The attributes' type must be the op's row's; NoAttrs stands for its defaults.
  ValueId Op(OpKind op, std::vector<ValueId> operands, Attrs attrs = NoAttrs{});

  const Shape& shape(ValueId id) const;  // a scalar's for kNone

  ValueId Reshape(ValueId x, Shape shape);
  ValueId Affine(ValueId x, double factor, double offset = 0.0);
  ValueId Fill(Shape shape, double value);
  // Sums x over what broadcasting `target` to x's shape would repeat; result has shape `target`.
  ValueId SumTo(ValueId x, const Shape& target);
  // Sums over all but the last dimension: [..., C] -> [C].
  ValueId SumToChannels(ValueId x);

 private:
  Graph* graph_;
  Phase phase_;
  std::string loc_;
  absl::Status status_;
};

}  // namespace pocketune
