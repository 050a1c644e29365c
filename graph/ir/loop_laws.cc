#include "graph/ir/loop_laws.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/base/status_macros.h"
#include "graph/ir/broken_law.h"
#include "graph/ir/part_form.h"

namespace pocketune {
namespace {

class LoopCheck {
 public:
  explicit LoopCheck(const Graph& graph)
      : graph_(graph), loop_of_(graph.nodes.size()), forms_(graph.nodes.size()) {}

  absl::Status Run() {
    NodeId end = 0;
    for (const BatchLoop& loop : graph_.loops) {
      const bool in_range = loop.first >= end && loop.last >= loop.first &&
                            loop.last < static_cast<NodeId>(graph_.nodes.size());
      if (!in_range || loop.parts < 2) {
        return Broken(absl::StrCat("loop ", loop.first, " ", loop.last), "is out of place");
      }
      end = loop.last + 1;
    }
    loop_of_ = LoopsOf(graph_);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      PT_TRY(CheckForm(n));
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      PT_TRY(CheckOperands(n));
      PT_TRY(CheckInPlace(n));
    }
    for (const Output& output : graph_.outputs) {
      if (graph_.value(output.value).parts > 1) {
        return Broken(output.name, "the output is one part of the batch");
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status CheckForm(size_t n) {
    const Node& node = graph_.nodes[n];
    const BatchLoop* loop = loop_of_[n];
    if (loop != nullptr) forms_[n] = PartFormOf(graph_, node, loop->parts);
    if (loop != nullptr && !forms_[n].has_value()) {
      return Broken(graph_, n, "cannot run on a part of the batch");
    }
    for (ValueId id : node.results) {
      const int parts = graph_.value(id).parts;
      if (parts == 1 || (loop != nullptr && loop->parts == parts && !forms_[n]->sums)) continue;
      return Broken(graph_, n,
                    "its result is one part of the batch, but it does not run in such parts");
    }
    return absl::OkStatus();
  }

  absl::Status CheckOperands(size_t n) const {
    const Node& node = graph_.nodes[n];
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const Value& value = graph_.value(node.operands[i]);
      if (value.kind != ValueKind::kResult) continue;
      const BatchLoop* made_in = loop_of_[value.producer];
      const bool same_loop = made_in != nullptr && made_in == loop_of_[n];
      if (value.parts > 1 && !same_loop) {
        return Broken(graph_, n, "reads a part of the batch from outside");
      }
      if (!same_loop) continue;
      if (forms_[value.producer]->sums || !forms_[n]->cuts(i)) {
        return Broken(graph_, n, "reads what the loop has not finished");
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckInPlace(size_t n) const {
    const Node& node = graph_.nodes[n];
    if (!node.in_place || loop_of_[n] == nullptr) return absl::OkStatus();
    const int operand = graph_.value(node.operands[0]).parts;
    const int result = graph_.value(node.results[0]).parts;
    if (operand != result || (operand == 1 && !node.info().Has(kView))) {
      return Broken(graph_, n, "overwrites what later parts of the batch need");
    }
    return absl::OkStatus();
  }

  const Graph& graph_;
  std::vector<const BatchLoop*> loop_of_;
  std::vector<std::optional<PartForm>> forms_;
};

}  // namespace

absl::Status CheckLoops(const Graph& graph) { return LoopCheck(graph).Run(); }

}  // namespace pocketune
