#include "graph/lower/plan_writer.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/checksum.h"
#include "engine/base/math.h"
#include "engine/ops/implied.h"
#include "engine/plan/plan_file.h"
#include "engine/plan/plan_format.h"
#include "engine/plan/plan_generated.h"
#include "engine/plan/plan_verify.h"
#include "graph/ir/model_identity.h"
#include "graph/lower/segment.h"
#include "graph/memory/kernel_query.h"
#include "graph/memory/liveness.h"

namespace pocketune {
namespace {

constexpr size_t kMaxItems = 1 << 18;      // tensors, steps and parameters: far below what
constexpr size_t kMaxJsonBytes = 8 << 20;  // FlatBuffers can hold (2 GiB, unchecked)

struct Param {
  Value value;
  bool in_ram = false;  // learns, or is a state
  bool resident = false;
  int blob = kNone;
  HostData base;  // untrained values where a run has learned others since
  int base_blob = kNone;
  uint32_t slices = 0;  // of a state: SlicesIdentity of its parameter
  int64_t ram_offset = kNone;
};

struct ScheduleIn {
  const char* name;
  fb::ScheduleRole role;
  const Graph* graph;
  std::vector<int> params;  // per value: index into params, kNone for others
  std::vector<int> blobs;   // per value: handle of a constant's content
};

bool IsState(const Value& value) { return value.role == ParamRole::kState; }

// As plan.fbs has them: 0 where it is what a name or a rank says.
template <class E>
uint8_t Stored(E is, E implied) {
  return is == implied ? 0 : static_cast<uint8_t>(1 + static_cast<int>(is));
}
uint8_t StoredLayout(const Value& value) {
  const bool is_weight = value.role == ParamRole::kWeight;
  return Stored(value.layout, ImpliedLayout(is_weight, value.type.shape.rank()));
}

std::string Describe(const ScheduleIn& schedule, size_t node) {
  const Node& n = schedule.graph->nodes[node];
  return absl::StrCat("write_plan: ", schedule.name, ": node ", node, " (", n.info().name, ", ",
                      n.loc, ")");
}

class PlanWriter {
 public:
  explicit PlanWriter(const PlanSpec& spec) : spec_(spec) {}

  // Decides all but the file's bytes.
  absl::Status Prepare() {
    absl::Status status = Collect();
    if (!status.ok()) return status;
    LayOutRam();
    for (ScheduleIn& schedule : schedules_) {
      status = CheckKernels(schedule);
      if (!status.ok()) return status;
    }
    status = CollectBlobs();
    if (!status.ok()) return status;
    Build(0);
    Build(AlignUp(static_cast<int64_t>(builder_.GetSize()), kSegmentAlignment));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Write() {
    const absl::Status status = Prepare();
    if (!status.ok()) return status;
    return Assemble();
  }

  const PlanSizes& sizes() const { return sizes_; }

 private:
  void AddSchedule(const char* name, fb::ScheduleRole role, const Graph* graph) {
    if (graph != nullptr) schedules_.push_back({name, role, graph, {}, {}});
  }

  absl::Status Collect() {
    AddSchedule("train", fb::ScheduleRole::Train, spec_.train);
    AddSchedule("eval", fb::ScheduleRole::Eval, spec_.eval);
    AddSchedule("predict", fb::ScheduleRole::Predict, spec_.predict);
    size_t items = spec_.model_params->size();
    for (const Value& value : *spec_.model_params) {
      const absl::StatusOr<int> index = AddParam("model", value);
      if (!index.ok()) return index.status();
      TakeLearned(params_[*index]);
    }
    for (ScheduleIn& schedule : schedules_) {
      const Graph& graph = *schedule.graph;
      if (graph.stage != Stage::kPlanned) {
        return absl::InvalidArgumentError(
            absl::StrCat("write_plan: ", schedule.name, " is at another stage (got ",
                         NameOf(graph.stage), ", want ", NameOf(Stage::kPlanned), ")"));
      }
      items += graph.values.size() + graph.nodes.size();
      sizes_.arena_bytes = std::max(sizes_.arena_bytes, graph.arena_bytes);
      steps_ += static_cast<int64_t>(graph.nodes.size());
      for (const Value& value : graph.values) {
        schedule.params.push_back(kNone);
        if (value.kind != ValueKind::kParam) continue;
        const absl::StatusOr<int> index = AddParam(schedule.name, value);
        if (!index.ok()) return index.status();
        schedule.params.back() = *index;
      }
      NoteSlices(schedule);
    }
    if (items > kMaxItems || spec_.metadata_json.size() > kMaxJsonBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("write_plan: the model is too large for a plan (got ", items,
                       " tensors and nodes, want at most ", kMaxItems, ")"));
    }
    return absl::OkStatus();
  }

  // Index of the parameter of that name, made at the first call.
  absl::StatusOr<int> AddParam(const char* where, const Value& value) {
    const auto [found, inserted] =
        param_index_.emplace(value.name, static_cast<int>(params_.size()));
    if (inserted) params_.push_back({value});
    Param& param = params_[found->second];
    if (param.value.type != value.type || IsState(param.value) != IsState(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("write_plan: ", where, ": parameter ", value.name,
                       " differs between model and schedules (got ", ToString(value.type),
                       ", want ", ToString(param.value.type), ")"));
    }
    if (param.value.data == nullptr) param.value.data = value.data;
    param.in_ram = param.in_ram || value.trainable || IsState(value);
    return found->second;
  }

  // Nothing where the run has come back to the model's values.
  void TakeLearned(Param& param) const {
    if (spec_.learned == nullptr) return;
    const auto found = spec_.learned->find(param.value.name);
    if (found == spec_.learned->end() || param.value.data == nullptr) return;
    const std::vector<float>& base = *param.value.data;
    const std::vector<float>& learned = *found->second;
    if (base.size() == learned.size() &&
        std::memcmp(base.data(), learned.data(), base.size() * sizeof(float)) == 0) {
      return;
    }
    param.base = std::exchange(param.value.data, found->second);
  }

  // States of some slices alone of their parameter say which.
  void NoteSlices(const ScheduleIn& schedule) {
    for (const Node& node : schedule.graph->nodes) {
      if (node.phase != Phase::kUpdate || node.operands.empty()) continue;
      const uint32_t slices = SlicesIdentity(schedule.graph->value(node.operands[0]));
      for (const ValueId id : node.operands) {
        const int index = id == kNone ? kNone : schedule.params[id];
        if (index != kNone && IsState(params_[index].value)) params_[index].slices = slices;
      }
    }
  }

  // Trained parameters and statistics first, then states.
  void LayOutRam() {
    int64_t end = 0;
    for (const bool states : {false, true}) {
      for (Param& param : params_) {
        if (!param.in_ram || IsState(param.value) != states) continue;
        param.ram_offset = end;
        end += AlignUp(param.value.bytes());
      }
      if (!states) sizes_.param_bytes = end;
    }
    sizes_.optimizer_bytes = end - sizes_.param_bytes;
    sizes_.checkpoint_bytes = end;
    for (const Param& param : params_) {
      if (!param.in_ram && param.base != nullptr) {
        sizes_.checkpoint_bytes += AlignUp(param.value.bytes());
      }
    }
  }

  bool IsConstant(const ScheduleIn& schedule, ValueId id) const {
    const int param = schedule.params[id];
    return param == kNone ? schedule.graph->value(id).kind == ValueKind::kConst
                          : !params_[param].in_ram;
  }

  // Kernels were chosen per schedule; here it shows whether they suit what the other one trains.
  // Sums up what stateful kernels hold and notes what the others read from the file.
  absl::Status CheckKernels(const ScheduleIn& schedule) {
    const Graph& graph = *schedule.graph;
    const std::vector<const BatchLoop*> loop_of = LoopsOf(graph);
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      const Node& node = graph.nodes[n];
      const KernelInfo* kernel = FindKernel(spec_.kernels, node.kernel);
      if (kernel == nullptr || kernel->op != node.op) {
        return absl::InvalidArgumentError(
            absl::StrCat(Describe(schedule, n), ": unknown kernel ", node.kernel));
      }
      NodeQuery asked(graph, node, spec_.isa, spec_.slots,
                      loop_of[n] == nullptr ? 1 : loop_of[n]->parts);
      asked.query.constant_operands = 0;
      for (size_t i = 0; i < node.operands.size(); ++i) {
        if (IsConstant(schedule, node.operands[i])) asked.query.constant_operands |= 1u << i;
      }
      if (kernel->supports != nullptr && !kernel->supports(asked.query)) {
        return absl::InvalidArgumentError(
            absl::StrCat(Describe(schedule, n), ": kernel ", node.kernel,
                         " needs a constant that another schedule trains"));
      }
      if (kernel->prepare == nullptr) {
        NoteResident(schedule, node);
      } else if (kernel->state_bytes != nullptr &&
                 states_.insert(StateKey(schedule, node, asked)).second) {
        sizes_.packed_bytes += kernel->state_bytes(asked.query);
      }
    }
    return absl::OkStatus();
  }

  void NoteResident(const ScheduleIn& schedule, const Node& node) {
    for (ValueId id : node.operands) {
      if (!IsConstant(schedule, id)) continue;
      if (schedule.params[id] != kNone) {
        params_[schedule.params[id]].resident = true;
      } else {
        resident_constants_.insert(schedule.graph->value(id).data.get());
      }
    }
  }

  // A state serves any number of samples.
  static TensorType OfAnyBatch(TensorType type, bool constant) {
    if (!constant && type.shape.rank() > 0) type.shape[0] = 0;
    return type;
  }

  // Equal for nodes that share a state in the runtime: kernel, constants, types, attributes.
  std::string StateKey(const ScheduleIn& schedule, const Node& node, const NodeQuery& asked) const {
    const Graph& graph = *schedule.graph;
    std::string key = node.kernel;
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const ValueId id = node.operands[i];
      absl::StrAppend(&key, " ", ToString(OfAnyBatch(asked.operands[i], IsConstant(schedule, id))));
      if (!IsConstant(schedule, id)) continue;
      const int param = schedule.params[id];
      const HostData& data = param == kNone ? graph.value(id).data : params_[param].value.data;
      if (data == nullptr) continue;
      absl::StrAppend(&key, "@", Checksum(data->data(), data->size() * sizeof(float)));
    }
    for (const TensorType& type : asked.results) {
      absl::StrAppend(&key, " ", ToString(OfAnyBatch(type, false)));
    }
    const std::vector<uint8_t> attrs = BytesOf(asked.attrs);
    return key + std::string(attrs.begin(), attrs.end());
  }

  static std::vector<uint8_t> BytesOf(const Attrs& attrs) {
    std::vector<uint8_t> bytes(AttrsBytes(attrs).size());
    WriteAttrs(attrs, bytes);
    return bytes;
  }

  absl::StatusOr<int> AddBlob(const Value& value, bool resident) {
    const int64_t elems = value.type.shape.elems();
    if (value.type.dtype != DType::kF32 || value.data == nullptr ||
        static_cast<int64_t>(value.data->size()) != elems) {
      return absl::InvalidArgumentError(
          absl::StrCat("write_plan: ", value.name, " has no values of its type (got ",
                       value.data == nullptr ? 0 : value.data->size(), ", want ", elems, " f32)"));
    }
    return segment_.Add(value.data, resident);
  }

  absl::Status CollectBlobs() {
    for (Param& param : params_) {
      if (IsState(param.value)) continue;
      const absl::StatusOr<int> blob = AddBlob(param.value, param.resident);
      if (!blob.ok()) return blob.status();
      param.blob = *blob;
      if (param.base != nullptr) param.base_blob = segment_.Add(param.base, /*resident=*/false);
    }
    for (ScheduleIn& schedule : schedules_) {
      for (const Value& value : schedule.graph->values) {
        schedule.blobs.push_back(kNone);
        if (value.kind != ValueKind::kConst) continue;
        const absl::StatusOr<int> blob =
            AddBlob(value, resident_constants_.count(value.data.get()) > 0);
        if (!blob.ok()) return blob.status();
        schedule.blobs.back() = *blob;
      }
    }
    segment_.LayOut();
    sizes_.constant_bytes = segment_.resident_bytes();
    return absl::OkStatus();
  }

  std::vector<int32_t> DimsOf(const Shape& shape) {
    std::vector<int32_t> dims;
    for (int64_t d : shape.dims()) dims.push_back(static_cast<int32_t>(d));
    return dims;
  }

  flatbuffers::Offset<fb::Param> BuildParam(const Param& param) {
    const Value& value = param.value;
    const std::vector<int32_t> dims = DimsOf(value.type.shape);
    return fb::CreateParamDirect(builder_, value.name.c_str(), &dims,
                                 static_cast<uint8_t>(value.role),
                                 static_cast<uint8_t>(value.section), value.block, param.in_ram,
                                 IsState(value), param.ram_offset, OffsetOf(param.blob),
                                 OffsetOf(param.base_blob), param.slices, StoredLayout(value));
  }
  int64_t OffsetOf(int blob) const { return blob == kNone ? kNone : segment_.offset(blob); }

  flatbuffers::Offset<fb::Tensor> BuildTensor(const ScheduleIn& schedule, ValueId id,
                                              ValueId root) {
    const Graph& graph = *schedule.graph;
    fb::Storage storage = fb::Storage::None;
    int64_t offset = 0;
    if (schedule.params[root] != kNone) {
      storage = fb::Storage::Param;
      offset = schedule.params[root];
    } else if (schedule.blobs[root] != kNone) {
      storage = fb::Storage::Const;
      offset = segment_.offset(schedule.blobs[root]);
    } else if (graph.offsets[id] != kNone) {
      storage = fb::Storage::Arena;
      offset = graph.offsets[id];
    }
    const std::vector<int32_t> dims = DimsOf(graph.shape(id));
    return fb::CreateTensorDirect(builder_, static_cast<uint8_t>(graph.type(id).dtype), &dims,
                                  storage, offset, graph.value(id).parts);
  }

  flatbuffers::Offset<fb::Step> BuildStep(const Node& node) {
    const std::vector<uint8_t> attrs = BytesOf(node.attrs);
    return fb::CreateStepDirect(builder_, node.info().name, node.kernel.c_str(), &node.operands,
                                &node.results, &attrs, static_cast<uint8_t>(node.phase),
                                node.loc.c_str(), node.scratch_offset, node.scratch_bytes);
  }

  flatbuffers::Offset<fb::Schedule> BuildSchedule(const ScheduleIn& schedule) {
    const Graph& graph = *schedule.graph;
    const std::vector<ValueId> roots = AliasRootsOf(graph);
    std::vector<flatbuffers::Offset<fb::Tensor>> tensors;
    std::vector<flatbuffers::Offset<fb::Step>> steps;
    std::vector<flatbuffers::Offset<fb::Port>> inputs;
    std::vector<flatbuffers::Offset<fb::Port>> outputs;
    for (size_t i = 0; i < graph.values.size(); ++i) {
      const ValueId id = static_cast<ValueId>(i);
      tensors.push_back(BuildTensor(schedule, id, roots[i]));
      if (graph.values[i].kind == ValueKind::kInput) {
        const Value& input = graph.values[i];
        inputs.push_back(fb::CreatePortDirect(builder_, input.name.c_str(), id,
                                              Stored(input.port, ImpliedInputRole(input.name))));
      }
    }
    for (const Node& node : graph.nodes) steps.push_back(BuildStep(node));
    for (const Output& output : graph.outputs) {
      outputs.push_back(fb::CreatePortDirect(builder_, output.name.c_str(), output.value,
                                             Stored(output.role, ImpliedOutputRole(output.name))));
    }
    std::vector<flatbuffers::Offset<fb::Loop>> loops;
    for (const BatchLoop& loop : graph.loops) {
      loops.push_back(fb::CreateLoop(builder_, loop.first, loop.last, loop.parts));
    }
    return fb::CreateScheduleDirect(builder_, schedule.name, &tensors, &steps, &inputs, &outputs,
                                    &loops, schedule.role);
  }

  // What the plan states of itself depends on its own size: `metadata_bytes` is an estimate from a
  // first round.
  void Build(int64_t metadata_bytes) {
    builder_.Clear();
    sizes_.predicted_peak_bytes = sizes_.arena_bytes + sizes_.param_bytes + sizes_.optimizer_bytes +
                                  sizes_.packed_bytes + sizes_.constant_bytes + metadata_bytes +
                                  StatedOverheadBytes(steps_);
    std::vector<flatbuffers::Offset<fb::Param>> params;
    std::vector<flatbuffers::Offset<fb::Schedule>> schedules;
    for (const Param& param : params_) params.push_back(BuildParam(param));
    for (const ScheduleIn& schedule : schedules_) schedules.push_back(BuildSchedule(schedule));
    builder_.Finish(
        fb::CreatePlanDirect(
            builder_, kPlanVersion, spec_.name.c_str(), sizes_.arena_bytes, sizes_.param_bytes,
            sizes_.optimizer_bytes, sizes_.packed_bytes, sizes_.predicted_peak_bytes, spec_.slots,
            static_cast<uint8_t>(spec_.isa), &params, &schedules, spec_.metadata_json.c_str(),
            spec_.origin.model_identity, spec_.origin.weights_identity, spec_.origin.replaces),
        fb::PlanIdentifier());
  }

  absl::StatusOr<std::string> Assemble() {
    PlanHeader header;
    header.metadata_bytes = builder_.GetSize();
    header.segment_offset = static_cast<uint64_t>(
        AlignUp(static_cast<int64_t>(sizeof(header) + builder_.GetSize()), kSegmentAlignment));
    header.segment_bytes = static_cast<uint64_t>(segment_.bytes());
    std::string file(header.segment_offset + header.segment_bytes + kReadAheadBytes, '\0');
    std::memcpy(&file[sizeof(header)], builder_.GetBufferPointer(), builder_.GetSize());
    segment_.CopyTo(&file[header.segment_offset]);
    header.metadata_checksum =
        Checksum(&file[sizeof(header)], header.segment_offset - sizeof(header));
    header.segment_checksum =
        Checksum(&file[header.segment_offset], file.size() - header.segment_offset);
    header.header_checksum = Checksum(&header, offsetof(PlanHeader, header_checksum));
    std::memcpy(&file[0], &header, sizeof(header));
    const absl::Status status = Verify(header, static_cast<int64_t>(file.size()));
    if (!status.ok()) return status;
    return file;
  }

  absl::Status Verify(const PlanHeader& header, int64_t file_bytes) const {
    Status status = CheckPlanHeader(header, file_bytes);
    if (status.ok()) {
      status = VerifyPlan({builder_.GetBufferPointer(), builder_.GetSize()}, segment_.bytes());
    }
    if (status.ok()) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("write_plan: the plan is refused: ", status.message(),
                                            " (", status.detail(), ")"));
  }

  const PlanSpec& spec_;
  PlanSizes sizes_;
  std::vector<ScheduleIn> schedules_;
  std::vector<Param> params_;
  std::unordered_map<std::string, int> param_index_;
  std::set<const void*> resident_constants_;  // by their data
  std::set<std::string> states_;              // keys of stateful kernels seen
  int64_t steps_ = 0;
  Segment segment_;
  flatbuffers::FlatBufferBuilder builder_;
};

}  // namespace

absl::StatusOr<std::string> WritePlan(const PlanSpec& spec, PlanSizes* sizes) {
  PlanWriter writer(spec);
  absl::StatusOr<std::string> file = writer.Write();
  if (file.ok() && sizes != nullptr) *sizes = writer.sizes();
  return file;
}

absl::StatusOr<PlanSizes> SizesOfPlan(const PlanSpec& spec) {
  PlanWriter writer(spec);
  const absl::Status status = writer.Prepare();
  if (!status.ok()) return status;
  return writer.sizes();
}

}  // namespace pocketune
