#include "engine/runtime/param_store.h"

#include <algorithm>

#include "engine/plan/plan_view.h"

namespace pocketune {

Result<ParamStore> ParamStore::Create(const PlanFile& plan) {
  const int64_t bytes = plan.plan().param_bytes() + plan.plan().optimizer_bytes();
  Result<Pages> ram = Pages::Allocate(bytes + kReadAheadBytes, Pages::Size::kHuge);
  if (!ram.ok()) return ram.status();
  ParamStore store(plan, std::move(ram.value()));
  for (int i = 0; i < store.count(); ++i) {
    const fb::Param& param = store.param(i);
    // A state's zeros are there already, without its pages being resident.
    if (!param.trainable() || param.state()) continue;
    PT_RETURN_IF_ERROR(store.ReadBase(i, store.values(i)));
  }
  return store;
}

int ParamStore::Find(std::string_view name) const {
  for (int i = 0; i < count(); ++i) {
    if (TextOf(param(i).name()) == name) return i;
  }
  return -1;
}

void* ParamStore::data(int index) const {
  const fb::Param& p = param(index);
  if (p.trainable()) return ram_.data() + p.ram_offset();
  return const_cast<uint8_t*>(plan_.segment() + p.segment_offset());
}

std::span<float> ParamStore::values(int index) const {
  const size_t elements = static_cast<size_t>(ShapeOf(*param(index).dims()).elems());
  return {static_cast<float*>(data(index)), elements};
}

Status ParamStore::Read(int index, std::span<float> out) const {
  if (!param(index).trainable()) return ReadBase(index, out);
  std::ranges::copy(values(index), out.begin());
  return OkStatus();
}

Status ParamStore::ReadBase(int index, std::span<float> out) const {
  if (param(index).state()) {
    std::ranges::fill(out, 0.0f);
    return OkStatus();
  }
  return plan_.ReadSegment(param(index).segment_offset(),
                           std::span(reinterpret_cast<uint8_t*>(out.data()), out.size_bytes()));
}

}  // namespace pocketune
