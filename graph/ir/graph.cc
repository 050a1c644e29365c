#include "graph/ir/graph.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/math.h"

namespace pocketune {
namespace {

ValueId AddValue(Graph& graph, Value value) {
  graph.values.push_back(std::move(value));
  return static_cast<ValueId>(graph.values.size()) - 1;
}

std::string Describe(const Graph& graph, OpKind op, const std::vector<ValueId>& operands,
                     const std::string& loc) {
  std::string text = loc.empty() ? "" : loc + ": ";
  absl::StrAppend(&text, InfoOf(op).name, "(");
  for (size_t i = 0; i < operands.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", ToString(graph.type(operands[i])));
  }
  return text + ")";
}

}  // namespace

ValueId Graph::AddInput(std::string value_name, TensorType type, PortRole role) {
  Value value;
  value.port = role;
  value.name = std::move(value_name);
  value.type = type;
  value.kind = ValueKind::kInput;
  return AddValue(*this, std::move(value));
}

ValueId Graph::AddParam(std::string value_name, Shape shape, ParamRole role, HostData data,
                        ParamLayout layout) {
  Value value;
  value.layout = layout;
  value.name = std::move(value_name);
  value.type = {shape, DType::kF32};
  value.kind = ValueKind::kParam;
  value.role = role;
  value.data = std::move(data);
  return AddValue(*this, std::move(value));
}

ValueId Graph::AddConst(std::string value_name, Shape shape, HostData data) {
  Value value;
  value.name = std::move(value_name);
  value.type = {shape, DType::kF32};
  value.kind = ValueKind::kConst;
  value.data = std::move(data);
  return AddValue(*this, std::move(value));
}

absl::StatusOr<NodeId> Graph::AddNode(OpKind op, std::vector<ValueId> operands, Attrs attrs,
                                      Phase phase, std::string loc) {
  const OpInfo& info = InfoOf(op);
  std::vector<TensorType> results(info.results);
  const Status status = InferShapes(op, TypesOf(*this, operands), attrs, results);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.code()),
                        absl::StrCat(Describe(*this, op, operands, loc), ": ", status.message(),
                                     " (", status.detail(), ")"));
  }
  Node node;
  node.op = op;
  node.attrs = std::move(attrs);
  node.operands = std::move(operands);
  node.phase = phase;
  node.loc = std::move(loc);
  node.in_place = info.Has(kView);
  const NodeId id = static_cast<NodeId>(nodes.size());
  for (int i = 0; i < info.results; ++i) {
    Value value;
    value.type = results[i];
    value.producer = id;
    value.result_index = i;
    node.results.push_back(AddValue(*this, std::move(value)));
  }
  nodes.push_back(std::move(node));
  return id;
}

ValueId Graph::FindValue(const std::string& value_name, ValueKind kind) const {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].kind == kind && values[i].name == value_name) return static_cast<ValueId>(i);
  }
  return kNone;
}

ValueId Graph::FindOutput(const std::string& output_name) const {
  for (const Output& output : outputs) {
    if (output.name == output_name) return output.value;
  }
  return kNone;
}

ValueId Graph::FindOutput(PortRole role) const {
  for (const Output& output : outputs) {
    if (output.role == role) return output.value;
  }
  return kNone;
}

void Graph::Compact(const std::vector<bool>& keep) {
  std::vector<Node> kept;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (keep[i]) kept.push_back(std::move(nodes[i]));
  }
  nodes = std::move(kept);

  std::vector<bool> live(values.size(), false);
  for (size_t i = 0; i < values.size(); ++i) live[i] = values[i].kind == ValueKind::kInput;
  for (const Node& node : nodes) {
    for (ValueId id : node.operands) live[id] = true;
    for (ValueId id : node.results) live[id] = true;
  }
  for (const Output& output : outputs) live[output.value] = true;

  std::vector<ValueId> renumber(values.size(), kNone);
  std::vector<Value> kept_values;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!live[i]) continue;
    renumber[i] = static_cast<ValueId>(kept_values.size());
    kept_values.push_back(std::move(values[i]));
  }
  values = std::move(kept_values);
  for (size_t n = 0; n < nodes.size(); ++n) {
    for (ValueId& id : nodes[n].operands) id = renumber[id];
    for (ValueId& id : nodes[n].results) {
      id = renumber[id];
      values[id].producer = static_cast<NodeId>(n);
    }
  }
  for (Output& output : outputs) output.value = renumber[output.value];
}

std::vector<std::vector<NodeId>> UsersOf(const Graph& graph) {
  std::vector<std::vector<NodeId>> users(graph.values.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId id : graph.nodes[n].operands) {
      const NodeId node = static_cast<NodeId>(n);
      if (users[id].empty() || users[id].back() != node) users[id].push_back(node);
    }
  }
  return users;
}

std::vector<std::vector<NodeId>> PredecessorsOf(const Graph& graph) {
  const std::vector<std::vector<NodeId>> users = UsersOf(graph);
  const ValueId loss = graph.FindOutput(PortRole::kLoss);
  const NodeId loss_node = loss == kNone ? kNone : graph.value(loss).producer;
  std::vector<std::vector<NodeId>> predecessors(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    std::vector<NodeId>& before = predecessors[n];
    for (ValueId id : node.operands) {
      if (graph.value(id).producer != kNone) before.push_back(graph.value(id).producer);
    }
    if (node.info().Has(kUpdate)) {
      if (loss_node != kNone) before.push_back(loss_node);
      for (int i = 0; i < node.info().results; ++i) {
        for (NodeId reader : users[node.operands[i]]) {
          if (reader != static_cast<NodeId>(n)) before.push_back(reader);
        }
      }
    }
    std::sort(before.begin(), before.end());
    before.erase(std::unique(before.begin(), before.end()), before.end());
  }
  return predecessors;
}

std::vector<const BatchLoop*> LoopsOf(const Graph& graph) {
  std::vector<const BatchLoop*> loop_of(graph.nodes.size(), nullptr);
  for (const BatchLoop& loop : graph.loops) {
    for (NodeId n = loop.first; n <= loop.last; ++n) loop_of[n] = &loop;
  }
  return loop_of;
}

int64_t LearningElems(const Value& param) {
  const Shape& shape = param.type.shape;
  if (param.slices == nullptr) return shape.elems();
  const auto learning = static_cast<int64_t>(param.slices->numbers.size());
  return shape.elems() / shape[param.slices->axis] * learning;
}

std::vector<TensorType> TypesOf(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<TensorType> types;
  types.reserve(ids.size());
  for (ValueId id : ids) types.push_back(graph.type(id));
  return types;
}

int64_t CountParams(const Graph& graph) {
  int64_t count = 0;
  for (const Value& value : graph.values) {
    if (value.kind != ValueKind::kParam || value.role == ParamRole::kState ||
        value.role == ParamRole::kNormMean || value.role == ParamRole::kNormVar) {
      continue;
    }
    count += value.type.shape.elems();
  }
  return count;
}

int64_t MacsOf(const Graph& graph, Phase phase) {
  int64_t macs = 0;
  for (const Node& node : graph.nodes) {
    if (node.phase != phase || !node.info().Has(kHasMacs)) continue;
    macs = SaturatedAdd(macs, MacsOf(node.op, TypesOf(graph, node.operands),
                                     TypesOf(graph, node.results), node.attrs));
  }
  return macs;
}

std::string ToString(const TensorType& type) {
  std::string text = absl::StrCat(NameOf(type.dtype), "[");
  for (int i = 0; i < type.shape.rank(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", type.shape[i]);
  }
  return text + "]";
}

const char* NameOf(Stage stage) {
  static constexpr const char* kNames[] = {"forward", "training", "optimized", "scheduled",
                                           "planned"};
  return kNames[static_cast<int>(stage)];
}

const char* NameOf(Phase phase) {
  static constexpr const char* kNames[] = {"fwd", "bwd", "upd"};
  return kNames[static_cast<int>(phase)];
}

}  // namespace pocketune
