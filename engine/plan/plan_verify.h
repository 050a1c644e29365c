// The trust boundary: what has passed here can be run without another look.
#pragma once

#include <cstdint>
#include <span>

#include "pocketune/status.h"

namespace pocketune {

// Checks a plan's FlatBuffer (8-byte aligned) beside a segment of `segment_bytes`:
//   - the buffer is well formed, the version ours, every index and name in range;
//   - every tensor lies inside arena, RAM or segment on a 64-byte boundary, trainable parameters
//     are disjoint;
//   - each op is known, its attributes are in range, and the stored types are those that its shape
//     rule gives: kernels may trust every shape;
//   - no step reads a value that has not been produced or whose bytes another step has overwritten
//     since; results, scratch and operands share bytes only where the op's traits allow it; only
//     updates of the schedule "train" write parameters, and constants are never written.
// Kernels' names and their need of scratch are checked where they are known, when a session opens.
// INVALID_ARGUMENT with detail = index of the parameter, tensor or step at fault; UNIMPLEMENTED for
// an unknown op or a newer version. Thread-safe.
Status VerifyPlan(std::span<const uint8_t> metadata, int64_t segment_bytes);

}  // namespace pocketune
