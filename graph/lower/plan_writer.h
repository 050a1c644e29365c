// From planned graphs to the bytes of a plan (docs/plan_format.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/api/kernel.h"
#include "graph/ir/graph.h"

namespace pocketune {

// What ties checkpoints to a plan; 0 where it is not known (docs/checkpoint_format.md).
struct PlanOrigin {
  uint64_t model_identity = 0;  // ModelIdentity and WeightsIdentity of graph/ir/model_identity.h
  uint64_t weights_identity = 0;
  uint64_t replaces = 0;  // the identity of a run's plan in whose place this one stands
};

struct PlanSpec {
  std::string name;
  std::string metadata_json;  // of the compile side; the engine does not look into it
  int slots = 1;              // for which kernels and scratch were chosen
  Isa isa = Isa::kAuto;
  KernelTable kernels;           // in which they were chosen
  const Graph* train = nullptr;  // stage kPlanned; null for a plan that only evaluates
  const Graph* eval = nullptr;   // stage kPlanned
  // Stage kPlanned, on inputs of another shape than the others'; null for none.
  const Graph* predict = nullptr;
  // All parameters of the model with their untrained values, read by a schedule or not. What else
  // the schedules have, optimizer states, is added behind them.
  const std::vector<Value>* model_params = nullptr;
  // What a run has made of some of them, by name; null for none. Sessions start from these.
  const std::map<std::string, HostData>* learned = nullptr;
  PlanOrigin origin = {};
};

// Sizes that a plan states, in bytes (docs/memory.md).
struct PlanSizes {
  int64_t arena_bytes = 0;
  int64_t param_bytes = 0;
  int64_t optimizer_bytes = 0;
  int64_t packed_bytes = 0;
  int64_t constant_bytes = 0;  // pages of the segment that steps read
  int64_t predicted_peak_bytes = 0;
  int64_t checkpoint_bytes = 0;  // values that a checkpoint holds
};

// The whole file. Parameters are matched by name across the schedules; one that any of them trains
// is in RAM for both. Values that are equal bit for bit are stored once. `sizes` may be null.
// The result has passed the runtime's own verifier. Errors: kInvalidArgument for schedules that do
// not fit together, kResourceExhausted for a plan beyond the format's limits, kInternal where the
// verifier refuses what was written.
absl::StatusOr<std::string> WritePlan(const PlanSpec& spec, PlanSizes* sizes = nullptr);

// What WritePlan would state, without the segment's bytes. Errors as WritePlan, but that nothing
// was verified.
absl::StatusOr<PlanSizes> SizesOfPlan(const PlanSpec& spec);

}  // namespace pocketune
