#include "graph/ir/verifier.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/math.h"
#include "engine/base/one_line.h"
#include "engine/ops/implied.h"
#include "graph/ir/broken_law.h"
#include "graph/ir/byte_owners.h"
#include "graph/ir/loop_laws.h"

namespace pocketune {
namespace {

std::string NameOf(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (!value.name.empty()) return absl::StrCat("\"", value.name, "\"");
  return absl::StrCat("result ", value.result_index, " of node ", value.producer);
}

bool InRange(const Graph& graph, ValueId id) {
  return id >= 0 && id < static_cast<int64_t>(graph.values.size());
}

// Result 0 is operand 0's bytes: of parameters and constants, which live elsewhere, views copy.
bool IsAlias(const Graph& graph, const Node& node) {
  if (!node.in_place) return false;
  const ValueKind kind = graph.value(node.operands[0]).kind;
  return kind == ValueKind::kResult || kind == ValueKind::kInput;
}

absl::Status CheckIds(const Graph& graph) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    for (ValueId id : node.operands) {
      if (!InRange(graph, id))
        return Broken(graph, n, absl::StrCat("operand ", id, " is no value"));
    }
    for (size_t i = 0; i < node.results.size(); ++i) {
      const ValueId id = node.results[i];
      if (!InRange(graph, id)) return Broken(graph, n, absl::StrCat("result ", id, " is no value"));
      const Value& value = graph.value(id);
      if (value.kind != ValueKind::kResult || value.producer != static_cast<NodeId>(n) ||
          value.result_index != static_cast<int>(i)) {
        return Broken(graph, n, absl::StrCat("result ", i, " does not name it as its producer"));
      }
    }
  }
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    const std::string where = absl::StrCat("value ", i);
    if (value.kind != ValueKind::kResult) {
      if (value.producer != kNone) return Broken(where, "no result, but has a producer");
      continue;
    }
    if (value.producer < 0 || value.producer >= static_cast<int64_t>(graph.nodes.size())) {
      return Broken(where, "its producer is no node");
    }
    const std::vector<ValueId>& results = graph.nodes[value.producer].results;
    if (value.result_index < 0 || value.result_index >= static_cast<int64_t>(results.size()) ||
        results[value.result_index] != static_cast<ValueId>(i)) {
      return Broken(where, "is not among its producer's results");
    }
  }
  for (const Output& output : graph.outputs) {
    if (!InRange(graph, output.value)) return Broken(output.name, "the output is no value");
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const Graph& graph) {
  std::set<std::pair<ValueKind, std::string>> names;
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kResult) continue;
    if (value.name.empty()) return Broken("graph", "an input, parameter or constant has no name");
    if (!names.emplace(value.kind, value.name).second)
      return Broken(value.name, "the name is taken");
  }
  for (const Output& output : graph.outputs) {
    if (!names.emplace(ValueKind::kResult, output.name).second) {
      return Broken(output.name, "another output has the same name");
    }
  }
  return absl::OkStatus();
}

// What inputs and outputs are for, and how parameters stand in files.
absl::Status CheckRoles(const Graph& graph) {
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kInput && !IsInputRole(value.port)) {
      return Broken(value.name, "an input has an output's role");
    }
    const bool may = value.kind == ValueKind::kParam && value.role == ParamRole::kWeight
                         ? Suits(value.layout, value.type.shape.rank())
                         : value.layout == ParamLayout::kRows;
    if (!may) return Broken(value.name, "the layout is not one of its rank and role");
  }
  int losses = 0;
  for (const Output& output : graph.outputs) {
    if (!IsOutputRole(output.role)) return Broken(output.name, "an output has an input's role");
    if (output.role == PortRole::kLoss && ++losses > 1) {
      return Broken(output.name, "another output is the loss");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOrder(const Graph& graph) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId id : graph.nodes[n].operands) {
      if (graph.value(id).producer < static_cast<NodeId>(n)) continue;
      return Broken(graph, n, absl::StrCat("reads ", NameOf(graph, id), " before it is made"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTypes(const Graph& graph) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    std::vector<TensorType> inferred = TypesOf(graph, node.results);
    const Status status = InferShapes(node.op, TypesOf(graph, node.operands), node.attrs, inferred);
    if (!status.ok()) {
      return Broken(graph, n, absl::StrCat(status.message(), " (", status.detail(), ")"));
    }
    for (size_t i = 0; i < inferred.size(); ++i) {
      const TensorType& type = graph.type(node.results[i]);
      if (type == inferred[i]) continue;
      return Broken(graph, n,
                    absl::StrCat("result ", i, " has another type (got ", ToString(type), ", want ",
                                 ToString(inferred[i]), ")"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckData(const Graph& graph) {
  for (const Value& value : graph.values) {
    if (!ShapeInRange(value.type.shape)) return Broken(value.name, "the shape is out of range");
    if (value.kind != ValueKind::kParam && value.kind != ValueKind::kConst) continue;
    if (value.type.dtype != DType::kF32 && value.type.dtype != DType::kF64) {
      return Broken(value.name,
                    absl::StrCat("is not floating-point (got ", ToString(value.type), ")"));
    }
    const int64_t elems = value.type.shape.elems();
    if (value.data == nullptr || static_cast<int64_t>(value.data->size()) == elems) continue;
    return Broken(value.name, absl::StrCat("data has another size (got ", value.data->size(),
                                           ", want ", elems, " elements)"));
  }
  return absl::OkStatus();
}

// Ascending numbers of some but not all slices, of a parameter that learns.
absl::Status CheckSlices(const Graph& graph) {
  for (const Value& value : graph.values) {
    if (value.slices == nullptr) continue;
    const auto& [axis, numbers] = *value.slices;
    const Shape& shape = value.type.shape;
    const bool learns = value.kind == ValueKind::kParam && value.trainable;
    if (!learns || axis < 0 || axis >= shape.rank() || numbers.empty() || numbers.front() < 0 ||
        numbers.back() >= shape[axis] || static_cast<int64_t>(numbers.size()) >= shape[axis] ||
        std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()) !=
            numbers.end()) {
      return Broken(value.name, "the slices that learn are not some of its own");
    }
  }
  return absl::OkStatus();
}

// What the update node `n` overwrites: trainable parameters, whose readers are `users`.
absl::Status CheckUpdate(const Graph& graph, size_t n,
                         const std::vector<std::vector<NodeId>>& users) {
  const Node& node = graph.nodes[n];
  for (size_t i = 0; i < node.results.size(); ++i) {
    const ValueId id = node.operands[i];
    const Value& param = graph.value(id);
    if (param.kind != ValueKind::kParam || !param.trainable) {
      return Broken(
          graph, n,
          absl::StrCat("overwrites ", NameOf(graph, id), ", which is no trainable parameter"));
    }
    // The last reader: no reader stands behind the update, and no second update is one.
    if (users[id].back() != static_cast<NodeId>(n)) {
      return Broken(graph, n,
                    absl::StrCat("node ", users[id].back(), " reads ", NameOf(graph, id),
                                 " after it was overwritten"));
    }
    if (!users[node.results[i]].empty()) {
      return Broken(
          graph, n,
          absl::StrCat("node ", users[node.results[i]].front(), " reads the result of an update"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckUpdates(const Graph& graph) {
  const std::vector<std::vector<NodeId>> users = UsersOf(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!graph.nodes[n].info().Has(kUpdate)) continue;
    if (absl::Status status = CheckUpdate(graph, n, users); !status.ok()) return status;
  }
  for (const Output& output : graph.outputs) {
    const NodeId producer = graph.value(output.value).producer;
    if (producer != kNone && graph.nodes[producer].info().Has(kUpdate)) {
      return Broken(output.name, "the output is the result of an update");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPhases(const Graph& graph) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (node.info().Has(kUpdate) && node.phase != Phase::kUpdate) {
      return Broken(graph, n, absl::StrCat("an update stands in phase ", NameOf(node.phase)));
    }
    if (graph.stage == Stage::kForward && node.phase == Phase::kBackward) {
      return Broken(graph, n, "a forward graph has a backward node");
    }
    for (ValueId id : node.operands) {
      const NodeId producer = graph.value(id).producer;
      if (producer == kNone || graph.nodes[producer].phase <= node.phase) continue;
      return Broken(graph, n,
                    absl::StrCat("phase ", NameOf(node.phase), " reads ", NameOf(graph, id),
                                 " of phase ", NameOf(graph.nodes[producer].phase)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMarks(const Graph& graph, size_t n) {
  const Node& node = graph.nodes[n];
  if (node.info().Has(kView)) {
    return node.in_place ? absl::OkStatus() : Broken(graph, n, "a view is not in place");
  }
  if (!node.in_place) return absl::OkStatus();
  if (!node.info().Has(kInplace)) return Broken(graph, n, "the op cannot run in place");
  const ValueId operand = node.operands[0];
  if (graph.value(operand).kind != ValueKind::kResult) {
    return Broken(graph, n, absl::StrCat("overwrites ", NameOf(graph, operand)));
  }
  if (!MayLieOver(node.op, graph.type(operand), graph.type(node.results[0]), node.attrs)) {
    return Broken(graph, n, "overwrites an operand of another type");
  }
  return absl::OkStatus();
}

// Follows who holds what along in-place chains: `holder` is the value whose bytes a value shares,
// `content` the value that was computed into them, `current` what a holder's bytes hold by now.
absl::Status CheckInPlace(const Graph& graph) {
  std::vector<ValueId> holder(graph.values.size()), content(graph.values.size());
  for (size_t i = 0; i < holder.size(); ++i) holder[i] = content[i] = static_cast<ValueId>(i);
  std::vector<ValueId> current = holder;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (absl::Status status = CheckMarks(graph, n); !status.ok()) return status;
    for (ValueId id : node.operands) {
      if (current[holder[id]] == content[id]) continue;
      return Broken(
          graph, n,
          absl::StrCat("reads ", NameOf(graph, id), " after it was overwritten in place"));
    }
    if (!IsAlias(graph, node)) continue;
    const ValueId result = node.results[0];
    holder[result] = holder[node.operands[0]];
    if (node.info().Has(kView)) {
      content[result] = content[node.operands[0]];
      continue;
    }
    if (graph.value(holder[result]).kind == ValueKind::kInput) {
      return Broken(graph, n, "overwrites an input");
    }
    for (size_t i = 1; i < node.operands.size(); ++i) {
      if (holder[node.operands[i]] == holder[result] && !node.info().Has(kElementwise)) {
        return Broken(graph, n, absl::StrCat("overwrites its operand ", i));
      }
    }
    current[holder[result]] = result;
  }
  for (const Output& output : graph.outputs) {
    if (current[holder[output.value]] != content[output.value]) {
      return Broken(output.name, "the output is overwritten in place");
    }
  }
  return absl::OkStatus();
}

bool Placed(int64_t offset, int64_t bytes, int64_t arena_bytes) {
  return offset >= 0 && offset % kAlignment == 0 && bytes > 0 && bytes <= arena_bytes &&
         offset <= arena_bytes - bytes;
}

absl::Status CheckPlaces(const Graph& graph) {
  if (graph.offsets.size() != graph.values.size()) {
    return Broken("graph", absl::StrCat("not one offset per value (got ", graph.offsets.size(),
                                        ", want ", graph.values.size(), ")"));
  }
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const ValueId id = static_cast<ValueId>(i);
    const Value& value = graph.values[i];
    if (graph.offsets[i] == kNone) continue;
    const bool in_store =
        value.kind == ValueKind::kResult && graph.nodes[value.producer].info().Has(kUpdate);
    if (value.kind == ValueKind::kParam || value.kind == ValueKind::kConst || in_store) {
      return Broken(NameOf(graph, id), "has an offset, but does not live in the arena");
    }
    if (!Placed(graph.offsets[i], value.bytes(), graph.arena_bytes)) {
      return Broken(NameOf(graph, id),
                    absl::StrCat("is not aligned inside the arena (got ", graph.offsets[i], "+",
                                 value.bytes(), " of ", graph.arena_bytes, ")"));
    }
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const bool alias = IsAlias(graph, node);
    if (node.kernel.empty() && !(alias && node.info().Has(kView))) {
      return Broken(graph, n, "has no kernel");
    }
    if (node.scratch_bytes != 0 &&
        !Placed(node.scratch_offset, node.scratch_bytes, graph.arena_bytes)) {
      return Broken(graph, n, "scratch is not aligned inside the arena");
    }
    if (alias && graph.offsets[node.results[0]] != kNone &&
        graph.offsets[node.results[0]] != graph.offsets[node.operands[0]]) {
      return Broken(graph, n, "is in place, but its result has an offset of its own");
    }
  }
  return absl::OkStatus();
}

// Runs the plan on paper: which value was computed into each byte of the arena.
class ByteCheck {
 public:
  explicit ByteCheck(const Graph& graph) : graph_(graph), content_(graph.values.size()) {
    for (size_t i = 0; i < content_.size(); ++i) {
      content_[i] = static_cast<ValueId>(i);
      if (graph.values[i].kind == ValueKind::kInput) Write(static_cast<ValueId>(i));
    }
  }

  absl::Status Run() {
    const std::vector<const BatchLoop*> loop_of = LoopsOf(graph_);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const BatchLoop* loop = loop_of[n];
      const absl::Status status = loop == nullptr ? RunNode(n, false) : RunLoop(*loop);
      if (!status.ok()) return status;
      if (loop != nullptr) n = static_cast<size_t>(loop->last);
    }
    for (const Output& output : graph_.outputs) {
      if (!Holds(output.value)) return Broken(output.name, "the output's bytes are overwritten");
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int32_t kScratch = -2;

  // The second round finds what the first has overwritten, parts and whole values alike.
  absl::Status RunLoop(const BatchLoop& loop) {
    for (NodeId n = loop.first; n <= loop.last; ++n) {
      const Node& node = graph_.nodes[n];
      if (IsAlias(graph_, node)) continue;
      for (ValueId id : node.results) {
        if (IsWhole(id)) Write(id);
      }
    }
    for (int round = 0; round < 2; ++round) {
      for (NodeId n = loop.first; n <= loop.last; ++n) {
        if (absl::Status status = RunNode(static_cast<size_t>(n), true); !status.ok()) {
          return status;
        }
      }
    }
    for (NodeId n = loop.first; n <= loop.last; ++n) {
      for (ValueId id : graph_.nodes[n].results) {
        if (!IsWhole(id) || graph_.offsets[id] == kNone || Holds(id)) continue;
        return Broken(graph_, static_cast<size_t>(n), "its result is overwritten within the loop");
      }
    }
    return absl::OkStatus();
  }

  bool IsWhole(ValueId id) const { return graph_.value(id).parts == 1; }

  bool InArena(ValueId id) const {
    const ValueKind kind = graph_.value(id).kind;
    return kind == ValueKind::kInput || kind == ValueKind::kResult;
  }
  void Write(ValueId id) {
    if (graph_.offsets[id] == kNone) return;
    owners_.Write(graph_.offsets[id], graph_.value(id).bytes(), content_[id]);
  }
  bool Holds(ValueId id) const {
    if (!InArena(id)) return true;
    return graph_.offsets[id] != kNone &&
           owners_.Holds(graph_.offsets[id], graph_.value(id).bytes(), content_[id]);
  }

  // In a loop the bytes of whole results were claimed when it began.
  absl::Status RunNode(size_t n, bool in_loop) {
    const Node& node = graph_.nodes[n];
    for (ValueId id : node.operands) {
      if (Holds(id)) continue;
      return Broken(
          graph_, n,
          absl::StrCat("reads ", NameOf(graph_, id), " from bytes that ",
                       graph_.offsets[id] == kNone ? "have no offset" : "were overwritten"));
    }
    const bool alias = IsAlias(graph_, node);
    if (alias && node.info().Has(kView)) {
      content_[node.results[0]] = content_[node.operands[0]];
      return absl::OkStatus();
    }
    if (node.scratch_bytes != 0) owners_.Write(node.scratch_offset, node.scratch_bytes, kScratch);
    for (ValueId id : node.results) {
      if (!in_loop || !IsWhole(id)) Write(id);
    }
    return CheckDisjoint(n, alias ? content_[node.operands[0]] : kNone);
  }

  // After node `n` wrote, all that it touches still holds what it should; `gone` was overwritten.
  absl::Status CheckDisjoint(size_t n, ValueId gone) const {
    const Node& node = graph_.nodes[n];
    for (ValueId id : node.operands) {
      if (content_[id] == gone || Holds(id)) continue;
      return Broken(graph_, n, absl::StrCat("writes over its operand ", NameOf(graph_, id)));
    }
    for (size_t i = 0; i < node.results.size(); ++i) {
      if (graph_.offsets[node.results[i]] == kNone || Holds(node.results[i])) continue;
      return Broken(graph_, n, absl::StrCat("results ", i, " and another overlap"));
    }
    if (node.scratch_bytes != 0 &&
        !owners_.Holds(node.scratch_offset, node.scratch_bytes, kScratch)) {
      return Broken(graph_, n, "scratch and a result overlap");
    }
    return absl::OkStatus();
  }

  const Graph& graph_;
  std::vector<ValueId> content_;  // what a value's bytes hold: its own, or what it is a view of
  ByteOwners owners_;
};

absl::Status CheckBytes(const Graph& graph) { return ByteCheck(graph).Run(); }

struct Law {
  Stage from;
  absl::Status (*check)(const Graph& graph);
};

// In order: a law may rely on those above it.
constexpr Law kLaws[] = {
    {Stage::kForward, CheckIds},    {Stage::kForward, CheckNames},
    {Stage::kForward, CheckRoles},  {Stage::kForward, CheckOrder},
    {Stage::kForward, CheckTypes},  {Stage::kForward, CheckData},
    {Stage::kForward, CheckSlices}, {Stage::kForward, CheckUpdates},
    {Stage::kForward, CheckPhases}, {Stage::kForward, CheckInPlace},
    {Stage::kForward, CheckLoops},  {Stage::kPlanned, CheckPlaces},
    {Stage::kPlanned, CheckBytes},
};

}  // namespace

absl::Status Verify(const Graph& graph) {
  for (const Law& law : kLaws) {
    if (graph.stage < law.from) continue;
    const absl::Status status = law.check(graph);
    if (!status.ok()) return absl::Status(status.code(), OneLine(std::string(status.message())));
  }
  return absl::OkStatus();
}

}  // namespace pocketune
