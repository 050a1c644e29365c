#include "engine/plan/model_identity.h"

#include <algorithm>

#include "engine/base/checksum.h"
#include "engine/plan/plan_view.h"

namespace pocketune {

uint64_t ParamsIdentity(const fb::Plan& plan) {
  ChecksumStream sum;
  const auto add = [&](int64_t number) { sum.Add(&number, sizeof(number)); };
  for (const fb::Param* param : *plan.params()) {
    if (param->state()) continue;
    const std::string_view name = TextOf(param->name());
    add(static_cast<int64_t>(name.size()));
    sum.Add(name.data(), name.size());
    add(param->role());
    add(param->dims()->size());
    for (const int32_t d : *param->dims()) add(d);
  }
  return std::max<uint64_t>(1, sum.Value());
}

uint64_t ModelIdentityOf(const fb::Plan& plan) {
  return plan.model_identity() != 0 ? plan.model_identity() : ParamsIdentity(plan);
}

bool IsOfModel(const fb::Plan& plan, uint64_t identity) {
  return identity == plan.model_identity() || identity == ParamsIdentity(plan);
}

}  // namespace pocketune
