#include "engine/runtime/parameter_store.h"

#include "engine/base/checksum.h"
#include "engine/base/math.h"
#include "engine/plan/model_identity.h"
#include "engine/plan/plan_view.h"

namespace pocketune {
namespace {

Status DoesNotSuit(const char* message, int64_t index = 0) {
  return Status(StatusCode::kFailedPrecondition, message, static_cast<int32_t>(index));
}

Result<uint64_t> FrozenIdentity(const PlanFile& plan) {
  ChecksumStream sum;
  std::vector<uint8_t> values;
  for (const fb::Param* param : *plan.plan().params()) {
    if (param->trainable() || param->base_offset() < 0) continue;
    values.resize(static_cast<size_t>(BytesOf(*param)));
    PT_RETURN_IF_ERROR(plan.ReadSegment(param->segment_offset(), values));
    sum.Add(param->name()->c_str(), param->name()->size() + 1);
    sum.Add(values.data(), values.size());
  }
  return sum.Value();
}

}  // namespace

Result<std::vector<float*>> ParameterStore::Join(const PlanFile& plan) {
  PT_RETURN_IF_ERROR(blocks_.empty() ? Start(plan) : CheckSuits(plan));
  PT_RETURN_IF_ERROR(AddStates(plan));
  std::vector<float*> places;
  for (const fb::Param* param : *plan.plan().params()) {
    places.push_back(param->trainable() ? Find(*param)->data : nullptr);
  }
  return places;
}

ParameterStore::Slot* ParameterStore::Find(const fb::Param& param) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (++found_ >= slots_.size()) found_ = 0;
    if (slots_[found_].name == TextOf(param.name())) return &slots_[found_];
  }
  return nullptr;
}

void ParameterStore::Add(const fb::Param& param, uint8_t* data) {
  slots_.push_back({std::string(TextOf(param.name())), ShapeOf(*param.dims()), param.state(),
                    param.slices(), reinterpret_cast<float*>(data)});
}

// In one block, as the plan lays it out.
Status ParameterStore::Start(const PlanFile& plan) {
  const Result<uint64_t> frozen = FrozenIdentity(plan);
  if (!frozen.ok()) return frozen.status();
  const int64_t bytes = plan.plan().param_bytes() + plan.plan().optimizer_bytes();
  Result<Pages> block = Pages::Allocate(bytes + kReadAheadBytes, Pages::Size::kHuge);
  if (!block.ok()) return block.status();
  slots_.clear();
  parameters_ = 0;
  for (const fb::Param* param : *plan.plan().params()) {
    if (!param->trainable()) continue;
    uint8_t* data = block.value().data() + param->ram_offset();
    Add(*param, data);
    if (param->state()) continue;  // its zeros are there already, without its pages being resident
    ++parameters_;
    PT_RETURN_IF_ERROR(
        plan.ReadSegment(param->segment_offset(), {data, static_cast<size_t>(BytesOf(*param))}));
  }
  blocks_.push_back(std::move(block.value()));
  model_identity_ = ModelIdentityOf(plan.plan());
  weights_identity_ = plan.plan().weights_identity();
  frozen_identity_ = frozen.value();
  return OkStatus();
}

Status ParameterStore::CheckSuits(const PlanFile& plan) {
  if (ModelIdentityOf(plan.plan()) != model_identity_ ||
      plan.plan().weights_identity() != weights_identity_) {
    return DoesNotSuit("store: the plan is of another model or of other weights");
  }
  size_t parameters = 0;
  const auto& params = *plan.plan().params();
  for (uint32_t i = 0; i < params.size(); ++i) {
    const fb::Param& param = *params[i];
    const Slot* slot = Find(param);
    if (!param.state() && param.trainable() != (slot != nullptr)) {
      return DoesNotSuit("store: the plan leaves other parameters variable", i);
    }
    if (slot == nullptr) continue;
    if (!param.state()) ++parameters;
    if (slot->shape != ShapeOf(*param.dims()) || slot->state != param.state() ||
        slot->slices != param.slices()) {
      return DoesNotSuit("store: a tensor of the plan has another shape or meaning", i);
    }
  }
  if (parameters != parameters_) {
    return DoesNotSuit("store: the plan leaves other parameters variable");
  }
  const Result<uint64_t> frozen = FrozenIdentity(plan);
  if (!frozen.ok()) return frozen.status();
  if (frozen.value() == frozen_identity_) return OkStatus();
  return DoesNotSuit("store: the plan has other values in parameters that learned before");
}

Status ParameterStore::AddStates(const PlanFile& plan) {
  bool lacks = false;
  int64_t bytes = 0;
  for (const fb::Param* param : *plan.plan().params()) {
    if (!param->state() || Find(*param) != nullptr) continue;
    lacks = true;
    bytes += AlignUp(BytesOf(*param));
  }
  if (!lacks) return OkStatus();
  Result<Pages> block = Pages::Allocate(bytes + kReadAheadBytes);
  if (!block.ok()) return block.status();
  uint8_t* data = block.value().data();
  for (const fb::Param* param : *plan.plan().params()) {
    if (!param->state() || Find(*param) != nullptr) continue;
    Add(*param, data);
    data += AlignUp(BytesOf(*param));
  }
  blocks_.push_back(std::move(block.value()));
  return OkStatus();
}

}  // namespace pocketune
