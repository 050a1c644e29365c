// The parts of VerifyPlan that look at one schedule. Private to engine/plan.
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/math.h"
#include "engine/ops/op_info.h"
#include "engine/plan/plan_generated.h"
#include "pocketune/status.h"

namespace pocketune {

inline Status Unsound(const char* message, int64_t index = 0) {
  return Status(StatusCode::kInvalidArgument, message, static_cast<int32_t>(index));
}

// Rank and dimensions are in range: ShapeOf may be called, and no size computed from it overflows.
Status CheckDims(const flatbuffers::Vector<int32_t>& dims, int64_t index);
Status CheckName(const flatbuffers::String& name, int64_t index);

// Is [offset, offset + bytes) aligned and inside [0, size)? `bytes` >= 0.
inline bool Inside(int64_t offset, int64_t bytes, int64_t size) {
  return offset >= 0 && offset % kAlignment == 0 && bytes <= size && offset <= size - bytes;
}

// Tensors, ports and steps of `schedule`, each by itself. The plan's sizes and parameters have been
// checked.
Status VerifySchedule(const fb::Plan& plan, const fb::Schedule& schedule, int64_t segment_bytes);

// Who may share bytes with whom, and when. VerifySchedule has succeeded.
Status VerifyLiveness(const fb::Plan& plan, const fb::Schedule& schedule);

}  // namespace pocketune
