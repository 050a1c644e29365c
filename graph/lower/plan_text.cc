#include "graph/lower/plan_text.h"

#include "absl/strings/str_cat.h"
#include "engine/plan/plan_view.h"

namespace pocketune {
namespace {

std::string StringOf(const flatbuffers::String* text) { return std::string(TextOf(text)); }

// A value that no step makes and that is no input, or whose kind is still to be found out.
Value ValueOf(const fb::Plan& plan, const fb::Tensor& tensor) {
  Value value;
  value.type = TypeOf(tensor);
  value.parts = tensor.parts();
  if (tensor.storage() == fb::Storage::Const) {
    value.kind = ValueKind::kConst;
    value.name = absl::StrCat("const@", tensor.offset());
  } else if (tensor.storage() == fb::Storage::Param) {
    const fb::Param& param = *plan.params()->Get(static_cast<uint32_t>(tensor.offset()));
    value.kind = ValueKind::kParam;
    value.name = StringOf(param.name());
    value.role = static_cast<ParamRole>(param.role());
    value.layout = LayoutOf(param);
    value.section = static_cast<Section>(param.section());
    value.block = param.block();
    value.trainable = param.trainable();
  }
  return value;
}

void MakeResult(Graph& graph, ValueId id, NodeId producer, int index) {
  const TensorType type = graph.type(id);
  const int parts = graph.value(id).parts;
  graph.value(id) = Value{};
  graph.value(id).type = type;
  graph.value(id).parts = parts;
  graph.value(id).producer = producer;
  graph.value(id).result_index = index;
}

Node NodeOf(const Graph& graph, const fb::Step& step) {
  const OpInfo& info = *FindOp(TextOf(step.op()));
  Node node;
  node.op = info.kind;
  std::span<const uint8_t> attrs;
  if (step.attrs() != nullptr) attrs = {step.attrs()->data(), step.attrs()->size()};
  node.attrs = AttrsFromBytes(info.kind, attrs).value();
  node.operands.assign(step.operands()->begin(), step.operands()->end());
  node.results.assign(step.results()->begin(), step.results()->end());
  node.phase = static_cast<Phase>(step.phase());
  node.loc = StringOf(step.loc());
  node.kernel = StringOf(step.kernel());
  node.scratch_offset = step.scratch_offset();
  node.scratch_bytes = step.scratch_bytes();
  const bool same_bytes = info.Has(kInplace) && graph.offsets[node.results[0]] != kNone &&
                          graph.offsets[node.results[0]] == graph.offsets[node.operands[0]];
  node.in_place = info.Has(kView) || same_bytes;
  return node;
}

}  // namespace

Graph GraphOfSchedule(const fb::Plan& plan, const fb::Schedule& schedule) {
  Graph graph;
  graph.name = absl::StrCat(StringOf(plan.name()), ".", StringOf(schedule.name()));
  graph.stage = Stage::kPlanned;
  graph.arena_bytes = plan.arena_bytes();
  for (const fb::Tensor* tensor : *schedule.tensors()) {
    graph.values.push_back(ValueOf(plan, *tensor));
    const bool in_arena = tensor->storage() == fb::Storage::Arena;
    graph.offsets.push_back(in_arena ? tensor->offset() : kNone);
  }
  for (const fb::Port* port : *schedule.inputs()) {
    graph.value(port->tensor()).kind = ValueKind::kInput;
    graph.value(port->tensor()).name = StringOf(port->name());
    graph.value(port->tensor()).port = InputRoleOf(*port);
  }
  for (const fb::Step* step : *schedule.steps()) {
    const NodeId id = static_cast<NodeId>(graph.nodes.size());
    graph.nodes.push_back(NodeOf(graph, *step));
    const std::vector<ValueId>& results = graph.nodes.back().results;
    for (size_t i = 0; i < results.size(); ++i) {
      MakeResult(graph, results[i], id, static_cast<int>(i));
    }
  }
  for (uint32_t i = 0; i < LoopCount(schedule); ++i) {
    const fb::Loop& loop = *schedule.loops()->Get(i);
    graph.loops.push_back({loop.first(), loop.last(), loop.parts()});
  }
  for (const fb::Port* port : *schedule.outputs()) {
    graph.outputs.push_back({StringOf(port->name()), port->tensor(), OutputRoleOf(*port)});
  }
  return graph;
}

std::string PlanText(const fb::Plan& plan, const PrintOptions& options) {
  std::string text;
  for (const fb::Schedule* schedule : *plan.schedules()) {
    absl::StrAppend(&text, text.empty() ? "" : "\n",
                    Print(GraphOfSchedule(plan, *schedule), options));
  }
  return text;
}

}  // namespace pocketune
