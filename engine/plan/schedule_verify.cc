#include "engine/plan/schedule_verify.h"

#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/ops/batch_part.h"
#include "engine/plan/plan_view.h"

namespace pocketune {
namespace {

constexpr uint32_t kMaxNameBytes = 256;
constexpr uint32_t kMaxTensors = 65536;
constexpr uint32_t kMaxSteps = 65536;
constexpr int64_t kMaxElements = int64_t{1} << 40;
constexpr int32_t kMaxParts = 1 << 20;
constexpr uint8_t kMaxPhase = 2;  // Phase of graph/ir
constexpr uint8_t kLastInputRole = 1 + static_cast<uint8_t>(PortRole::kSampleWeight);
constexpr uint8_t kLastRole = 1 + static_cast<uint8_t>(PortRole::kOther);

class ScheduleVerifier {
 public:
  ScheduleVerifier(const fb::Plan& plan, const fb::Schedule& schedule, int64_t segment_bytes)
      : plan_(plan),
        schedule_(schedule),
        tensors_(*schedule.tensors()),
        may_update_(RoleOf(schedule) == fb::ScheduleRole::Train),
        segment_bytes_(segment_bytes) {}

  Status Verify() {
    PT_RETURN_IF_ERROR(CheckTensors());
    PT_RETURN_IF_ERROR(CheckPorts(*schedule_.inputs()));
    PT_RETURN_IF_ERROR(CheckPorts(*schedule_.outputs()));
    for (const fb::Port* port : *schedule_.inputs()) {
      if (StorageOf(port->tensor()) != fb::Storage::Arena) {
        return Unsound("plan: an input does not lie in the arena", port->tensor());
      }
      if (port->role() > kLastInputRole) {
        return Unsound("plan: an input has another role", port->tensor());
      }
    }
    for (const fb::Port* port : *schedule_.outputs()) {
      if (StorageOf(port->tensor()) == fb::Storage::None ||
          types_[size_t(port->tensor())].dtype != DType::kF32) {
        return Unsound("plan: an output is not f32 or has no bytes", port->tensor());
      }
      if (port->role() != 0 && (port->role() <= kLastInputRole || port->role() > kLastRole)) {
        return Unsound("plan: an output has another role", port->tensor());
      }
    }
    if (schedule_.steps()->size() > kMaxSteps) {
      return Unsound("plan: too many steps", schedule_.steps()->size());
    }
    for (uint32_t i = 0; i < schedule_.steps()->size(); ++i) {
      PT_RETURN_IF_ERROR(CheckStep(*schedule_.steps()->Get(i), i));
    }
    return CheckLoops();
  }

 private:
  fb::Storage StorageOf(int32_t tensor) const { return tensors_[uint32_t(tensor)]->storage(); }
  bool IsTensor(int32_t index) const { return index >= 0 && uint32_t(index) < tensors_.size(); }

  Status CheckTensors() {
    if (tensors_.size() > kMaxTensors) return Unsound("plan: too many tensors", tensors_.size());
    types_.reserve(tensors_.size());
    for (uint32_t i = 0; i < tensors_.size(); ++i) {
      const fb::Tensor& tensor = *tensors_[i];
      PT_RETURN_IF_ERROR(CheckDims(*tensor.dims(), i));
      const DType dtype = static_cast<DType>(tensor.dtype());
      if (dtype != DType::kF32 && dtype != DType::kI32 && dtype != DType::kU8) {
        return Unsound("plan: a tensor is neither f32, i32 nor u8", i);
      }
      types_.push_back(TypeOf(tensor));
      if (tensor.parts() < 1 || tensor.parts() > kMaxParts ||
          (tensor.parts() > 1 && tensor.storage() != fb::Storage::Arena)) {
        return Unsound("plan: a tensor's number of parts is out of range", i);
      }
      PT_RETURN_IF_ERROR(CheckPlace(tensor, types_.back(), i));
    }
    return OkStatus();
  }

  Status CheckPlace(const fb::Tensor& tensor, const TensorType& type, int64_t index) const {
    switch (tensor.storage()) {
      case fb::Storage::Arena:
        if (Inside(tensor.offset(), RoomOf(tensor), plan_.arena_bytes())) return OkStatus();
        return Unsound("plan: a tensor lies outside the arena", index);
      case fb::Storage::Const:
        if (Inside(tensor.offset(), BytesOf(type), segment_bytes_)) return OkStatus();
        return Unsound("plan: a constant lies outside the segment", index);
      case fb::Storage::Param: {
        if (tensor.offset() < 0 || tensor.offset() >= plan_.params()->size()) {
          return Unsound("plan: a tensor names no parameter", index);
        }
        const fb::Param& param = *plan_.params()->Get(static_cast<uint32_t>(tensor.offset()));
        if (type == TensorType{ShapeOf(*param.dims()), DType::kF32}) return OkStatus();
        return Unsound("plan: a tensor is not shaped as its parameter", index);
      }
      case fb::Storage::None:
        return OkStatus();
    }
    return Unsound("plan: a tensor's storage is unknown", index);
  }

  Status CheckPorts(const flatbuffers::Vector<flatbuffers::Offset<fb::Port>>& ports) const {
    std::unordered_set<std::string_view> names;
    for (const fb::Port* port : ports) {
      PT_RETURN_IF_ERROR(CheckName(*port->name(), int64_t(names.size())));
      if (!IsTensor(port->tensor())) return Unsound("plan: a port names no tensor", port->tensor());
      if (tensors_[uint32_t(port->tensor())]->parts() != 1) {
        return Unsound("plan: a port names one part of the batch", port->tensor());
      }
      if (!names.insert(TextOf(port->name())).second) {
        return Unsound("plan: two ports have the same name", port->tensor());
      }
    }
    return OkStatus();
  }

  // The types of the tensors that `indices` name.
  Status Gather(const flatbuffers::Vector<int32_t>& indices, int64_t step,
                std::vector<TensorType>& types) const {
    types.clear();
    for (const int32_t index : indices) {
      if (!IsTensor(index)) return Unsound("plan: a step names no tensor", step);
      types.push_back(types_[size_t(index)]);
    }
    return OkStatus();
  }

  Status CheckStep(const fb::Step& step, int64_t index) {
    const OpInfo* op = FindOp(TextOf(step.op()));
    if (op == nullptr) {
      return Status(StatusCode::kUnimplemented, "plan: unknown op", static_cast<int32_t>(index));
    }
    PT_RETURN_IF_ERROR(CheckName(*step.kernel(), index));
    if (step.phase() > kMaxPhase) return Unsound("plan: a step's phase is unknown", index);
    if (step.scratch_bytes() < 0 ||
        (step.scratch_bytes() > 0 &&
         !Inside(step.scratch_offset(), step.scratch_bytes(), plan_.arena_bytes()))) {
      return Unsound("plan: a step's scratch lies outside the arena", index);
    }
    if (step.operands()->size() > uint32_t(op->max_operands) ||
        step.results()->size() != uint32_t(op->results)) {
      return Unsound("plan: a step has a wrong number of operands or results", index);
    }
    PT_RETURN_IF_ERROR(Gather(*step.operands(), index, operands_));
    PT_RETURN_IF_ERROR(Gather(*step.results(), index, results_));
    PT_RETURN_IF_ERROR(CheckTypes(*op, step, index));
    return CheckStorage(*op, step, index);
  }

  // Attributes are in range and results are what the shape rule makes of the operands.
  Status CheckTypes(const OpInfo& op, const fb::Step& step, int64_t index) {
    const Result<Attrs> attrs = AttrsFromBytes(op.kind, AttrBytesOf(step));
    if (!attrs.ok()) return Unsound(attrs.status().message(), index);
    inferred_ = results_;
    const Status status = InferShapes(op.kind, operands_, attrs.value(), inferred_);
    if (!status.ok()) return Unsound(status.message(), index);
    if (inferred_ != results_) {
      return Unsound("plan: a result has another shape than its operands give", index);
    }
    return OkStatus();
  }

  // Only updates write parameters, each the one that it reads; all else writes the arena.
  Status CheckStorage(const OpInfo& op, const fb::Step& step, int64_t index) const {
    for (const int32_t operand : *step.operands()) {
      if (StorageOf(operand) == fb::Storage::None) {
        return Unsound("plan: a step reads a tensor without bytes", index);
      }
    }
    if (op.Has(kUpdate) && !may_update_) {
      return Unsound("plan: an update outside a schedule that trains", index);
    }
    int written = 0;
    for (uint32_t i = 0; i < step.results()->size(); ++i) {
      const fb::Tensor& result = *tensors_[uint32_t(step.results()->Get(i))];
      if (op.Has(kUpdate)) {
        const fb::Tensor& operand = *tensors_[uint32_t(step.operands()->Get(i))];
        if (result.storage() != fb::Storage::Param || operand.storage() != fb::Storage::Param ||
            result.offset() != operand.offset() || IsConstant(plan_, result)) {
          return Unsound("plan: an update does not overwrite the parameter that it reads", index);
        }
      } else if (result.storage() != fb::Storage::Arena && result.storage() != fb::Storage::None) {
        return Unsound("plan: a step writes a parameter or a constant", index);
      }
      if (result.storage() != fb::Storage::None) ++written;
    }
    if (written == 0) return Unsound("plan: a step has no result that is kept", index);
    return OkStatus();
  }

  Status CheckLoops() {
    int64_t end = 0;
    for (uint32_t i = 0; i < LoopCount(schedule_); ++i) {
      const fb::Loop& loop = *schedule_.loops()->Get(i);
      if (loop.first() < end || loop.last() < loop.first() ||
          uint32_t(loop.last()) >= schedule_.steps()->size() || loop.parts() < 2 ||
          loop.parts() > kMaxParts) {
        return Unsound("plan: a loop is out of range", i);
      }
      end = int64_t{loop.last()} + 1;
      for (int32_t s = loop.first(); s <= loop.last(); ++s) {
        PT_RETURN_IF_ERROR(CheckLoopStep(*schedule_.steps()->Get(uint32_t(s)), loop.parts(), s));
      }
    }
    return OkStatus();
  }

  // The step can run on parts of the batch, with room for more results where it sums over them.
  Status CheckLoopStep(const fb::Step& step, int parts, int64_t index) {
    PT_RETURN_IF_ERROR(Gather(*step.operands(), index, operands_));
    PT_RETURN_IF_ERROR(Gather(*step.results(), index, results_));
    const OpKind kind = FindOp(TextOf(step.op()))->kind;
    const std::optional<PartForm> form = PartFormOf(
        kind, operands_, results_, AttrsFromBytes(kind, AttrBytesOf(step)).value(), parts);
    if (!form.has_value()) return Unsound("plan: a step cannot run in a loop", index);
    int64_t room = 0;
    for (const TensorType& result : results_) room += AlignUp(BytesOf(result));
    if (form->sums && (step.scratch_bytes() < room || step.scratch_bytes() % kAlignment != 0)) {
      return Unsound("plan: a step has no room to sum over parts", index);
    }
    return OkStatus();
  }

  const fb::Plan& plan_;
  const fb::Schedule& schedule_;
  const flatbuffers::Vector<flatbuffers::Offset<fb::Tensor>>& tensors_;
  const bool may_update_;
  const int64_t segment_bytes_;
  std::vector<TensorType> types_;
  std::vector<TensorType> operands_, results_, inferred_;  // of the step at hand
};

}  // namespace

Status CheckDims(const flatbuffers::Vector<int32_t>& dims, int64_t index) {
  if (dims.size() > uint32_t(Shape::kMaxRank)) return Unsound("plan: too many dimensions", index);
  int64_t elements = 1;
  for (const int32_t d : dims) {
    if (d < 1) return Unsound("plan: a dimension is below 1", index);
    if (!CheckedMul(elements, d, &elements) || elements > kMaxElements) {
      return Unsound("plan: a tensor has too many elements", index);
    }
  }
  return OkStatus();
}

Status CheckName(const flatbuffers::String& name, int64_t index) {
  if (name.size() == 0 || name.size() > kMaxNameBytes) {
    return Unsound("plan: a name is empty or too long", index);
  }
  return OkStatus();
}

Status VerifySchedule(const fb::Plan& plan, const fb::Schedule& schedule, int64_t segment_bytes) {
  return ScheduleVerifier(plan, schedule, segment_bytes).Verify();
}

}  // namespace pocketune
