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
  if (blocks_.empty()) return Start(plan);
  if (admit_ == nullptr) return DoesNotSuit("store: it is not shared");
  return (this->*admit_)(plan);
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

// In one block, as the plan lays it out. The zeros of states are there already, without their pages
// being resident.
Result<std::vector<float*>> ParameterStore::Start(const PlanFile& plan) {
  const int64_t bytes = plan.plan().param_bytes() + plan.plan().optimizer_bytes();
  Result<Pages> block = Pages::Allocate(bytes + kReadAheadBytes, Pages::Size::kHuge);
  if (!block.ok()) return block.status();
  std::vector<float*> places;
  for (const fb::Param* param : *plan.plan().params()) {
    uint8_t* data = param->trainable() ? block.value().data() + param->ram_offset() : nullptr;
    places.push_back(reinterpret_cast<float*>(data));
    if (data == nullptr || param->state()) continue;
    PT_RETURN_IF_ERROR(
        plan.ReadSegment(param->segment_offset(), {data, static_cast<size_t>(BytesOf(*param))}));
  }
  blocks_.push_back(std::move(block.value()));
  return places;
}

void ParameterStore::Share(const PlanFile& plan) {
  if (admit_ != nullptr) return;
  for (const fb::Param* param : *plan.plan().params()) {
    if (!param->trainable()) continue;
    Add(*param, blocks_[0].data() + param->ram_offset());
    if (!param->state()) ++parameters_;
  }
  const Result<uint64_t> frozen = FrozenIdentity(plan);
  unread_ = frozen.status();
  frozen_identity_ = frozen.ok() ? frozen.value() : 0;
  model_identity_ = ModelIdentityOf(plan.plan());
  weights_identity_ = plan.plan().weights_identity();
  admit_ = &ParameterStore::Admit;
}

Result<std::vector<float*>> ParameterStore::Admit(const PlanFile& plan) {
  PT_RETURN_IF_ERROR(unread_);
  PT_RETURN_IF_ERROR(CheckSuits(plan));
  PT_RETURN_IF_ERROR(AddStates(plan));
  std::vector<float*> places;
  for (const fb::Param* param : *plan.plan().params()) {
    places.push_back(param->trainable() ? Find(*param)->data : nullptr);
  }
  return places;
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
