#include "engine/plan/plan_verify.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/plan/plan_format.h"
#include "engine/plan/plan_view.h"
#include "engine/plan/schedule_verify.h"

namespace pocketune {
namespace {

constexpr uint32_t kMaxParams = 65536;
constexpr uint32_t kMaxSchedules = 16;
constexpr int64_t kMaxBytes = int64_t{1} << 48;  // of an arena; sums of a few cannot overflow
constexpr int kMaxSlots = 1024;
constexpr uint8_t kMaxIsa = 4;
constexpr uint8_t kMaxRole = 6;     // ParamRole of graph/ir
constexpr uint8_t kMaxSection = 3;  // Section of graph/ir
constexpr uint8_t kMaxLayout = 3;   // 1 + ParamLayout

Status CheckSizes(const fb::Plan& plan) {
  for (const int64_t bytes : {plan.arena_bytes(), plan.param_bytes(), plan.optimizer_bytes(),
                              plan.packed_bytes(), plan.predicted_peak_bytes()}) {
    if (bytes < 0 || bytes > kMaxBytes) return Unsound("plan: a size is out of range");
  }
  if (plan.slots() < 1 || plan.slots() > kMaxSlots) {
    return Unsound("plan: the number of slots is out of range", plan.slots());
  }
  if (plan.isa() > kMaxIsa) return Unsound("plan: unknown instruction set", plan.isa());
  return OkStatus();
}

Status CheckParam(const fb::Plan& plan, const fb::Param& param, int64_t index,
                  int64_t segment_bytes) {
  PT_RETURN_IF_ERROR(CheckName(*param.name(), index));
  PT_RETURN_IF_ERROR(CheckDims(*param.dims(), index));
  if (param.role() > kMaxRole || param.section() > kMaxSection || param.block() < -1) {
    return Unsound("plan: a parameter's role or place is out of range", index);
  }
  const uint32_t filter_rank = param.layout() == kMaxLayout ? 3 : 4;  // of a depthwise one, or not
  if (param.layout() > kMaxLayout || (param.layout() > 1 && param.dims()->size() != filter_rank)) {
    return Unsound("plan: a parameter's layout is not one of its rank", index);
  }
  const int64_t bytes = BytesOf(param);
  if (param.trainable()) {
    if (!Inside(param.ram_offset(), bytes, plan.param_bytes() + plan.optimizer_bytes())) {
      return Unsound("plan: a parameter lies outside the memory of parameters", index);
    }
  } else if (param.ram_offset() != -1 || param.state()) {
    return Unsound("plan: a parameter that does not learn is a state or has memory", index);
  }
  if (param.base_offset() != -1 &&
      (param.state() || !Inside(param.base_offset(), bytes, segment_bytes))) {
    return Unsound("plan: a parameter's untrained values lie outside the segment", index);
  }
  if (param.state()) {
    if (param.segment_offset() != -1) return Unsound("plan: a state has bytes in the file", index);
  } else if (!Inside(param.segment_offset(), bytes, segment_bytes)) {
    return Unsound("plan: a parameter's values lie outside the segment", index);
  }
  return OkStatus();
}

Status CheckParams(const fb::Plan& plan, int64_t segment_bytes) {
  const auto& params = *plan.params();
  if (params.size() > kMaxParams) return Unsound("plan: too many parameters", params.size());
  std::unordered_set<std::string_view> names;
  std::vector<std::pair<int64_t, int64_t>> ranges;  // in RAM
  for (uint32_t i = 0; i < params.size(); ++i) {
    const fb::Param& param = *params[i];
    PT_RETURN_IF_ERROR(CheckParam(plan, param, i, segment_bytes));
    if (!names.insert(TextOf(param.name())).second) {
      return Unsound("plan: two parameters have the same name", i);
    }
    if (param.trainable()) {
      ranges.emplace_back(param.ram_offset(), param.ram_offset() + BytesOf(param));
    }
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) {
      return Unsound("plan: two parameters share memory", static_cast<int64_t>(i));
    }
  }
  return OkStatus();
}

// An input that two schedules have is bound once for both; predictions have theirs bound apart.
Status CheckSharedInputs(const fb::Plan& plan) {
  std::unordered_map<std::string_view, TensorType> types;
  for (const fb::Schedule* schedule : *plan.schedules()) {
    if (RoleOf(*schedule) == fb::ScheduleRole::Predict) continue;
    for (const fb::Port* port : *schedule->inputs()) {
      const TensorType type = TypeOf(*schedule->tensors()->Get(uint32_t(port->tensor())));
      const auto [found, inserted] = types.emplace(TextOf(port->name()), type);
      if (!inserted && found->second != type) {
        return Unsound("plan: an input differs in shape between schedules");
      }
    }
  }
  return OkStatus();
}

}  // namespace

Status VerifyPlan(std::span<const uint8_t> metadata, int64_t segment_bytes) {
  flatbuffers::Verifier verifier(metadata.data(), metadata.size());
  if (metadata.size() < 16 || !fb::VerifyPlanBuffer(verifier)) {
    return Unsound("plan: the metadata is malformed");
  }
  const fb::Plan& plan = *fb::GetPlan(metadata.data());
  if (plan.version() > kPlanVersion) {
    return Status(StatusCode::kUnimplemented, "plan: made by a newer version of pocketune",
                  static_cast<int32_t>(plan.version()));
  }
  if (plan.version() < kOldestPlanVersion) return Unsound("plan: unknown version", plan.version());
  PT_RETURN_IF_ERROR(CheckName(*plan.name(), 0));
  PT_RETURN_IF_ERROR(CheckSizes(plan));
  PT_RETURN_IF_ERROR(CheckParams(plan, segment_bytes));
  if (plan.schedules()->size() > kMaxSchedules) {
    return Unsound("plan: too many schedules", plan.schedules()->size());
  }
  std::unordered_set<std::string_view> names;
  for (const fb::Schedule* schedule : *plan.schedules()) {
    PT_RETURN_IF_ERROR(CheckName(*schedule->name(), int64_t(names.size())));
    if (schedule->role() > fb::ScheduleRole::MAX) {
      return Unsound("plan: a schedule's role is unknown", int64_t(names.size()));
    }
    if (!names.insert(TextOf(schedule->name())).second) {
      return Unsound("plan: two schedules have the same name", int64_t(names.size()));
    }
    PT_RETURN_IF_ERROR(VerifySchedule(plan, *schedule, segment_bytes));
    PT_RETURN_IF_ERROR(VerifyLiveness(plan, *schedule));
  }
  return CheckSharedInputs(plan);
}

}  // namespace pocketune
