#include "engine/runtime/plan_params.h"

#include <algorithm>

#include "engine/plan/plan_view.h"

namespace pocketune {

Result<PlanParams> PlanParams::Create(const PlanFile& plan, std::shared_ptr<ParameterStore> store) {
  Result<std::vector<float*>> places = store->Join(plan);
  if (!places.ok()) return places.status();
  return PlanParams(plan, std::move(store), std::move(places.value()));
}

int PlanParams::Find(std::string_view name) const {
  for (int i = 0; i < count(); ++i) {
    if (TextOf(param(i).name()) == name) return i;
  }
  return -1;
}

void* PlanParams::data(int index) const {
  float* place = places_[static_cast<size_t>(index)];
  if (place != nullptr) return place;
  return const_cast<uint8_t*>(plan_.segment() + param(index).segment_offset());
}

std::span<float> PlanParams::values(int index) const {
  const size_t elements = static_cast<size_t>(ShapeOf(*param(index).dims()).elems());
  return {static_cast<float*>(data(index)), elements};
}

Status PlanParams::Read(int index, std::span<float> out) const {
  if (!param(index).trainable()) return ReadStart(index, out);
  std::ranges::copy(values(index), out.begin());
  return OkStatus();
}

Status PlanParams::ReadStart(int index, std::span<float> out) const {
  return ReadSegment(param(index).segment_offset(), out);
}

Status PlanParams::ReadBase(int index, std::span<float> out) const {
  const fb::Param& p = param(index);
  return ReadSegment(p.base_offset() >= 0 ? p.base_offset() : p.segment_offset(), out);
}

Status PlanParams::ReadSegment(int64_t offset, std::span<float> out) const {
  if (offset < 0) {  // a state
    std::ranges::fill(out, 0.0f);
    return OkStatus();
  }
  return plan_.ReadSegment(offset,
                           std::span(reinterpret_cast<uint8_t*>(out.data()), out.size_bytes()));
}

}  // namespace pocketune
