// From a model to a plan: forward, backward and update as one static graph, decided before the
// first step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pocketune/model.h"
#include "pocketune/outcome.h"
#include "pocketune/tuning.h"

namespace pocketune {

enum class BatchNormMode : uint8_t {
  kAuto,    // batch statistics under the scheme `full`, frozen ones under every other
  kTrain,   // batch statistics; running statistics follow
  kFrozen,  // running statistics as they are, folded into weights that do not learn
};

// Parameters whose names match `pattern` (shell wildcards) learn with lr_scale times the rate.
struct ParamGroupSpec {
  std::string pattern;
  double lr_scale = 1.0;
};

// How the model learns.
struct TrainSpec {
  // `full`, `head`, `bias`, `bias:K`, `blocks:K`, `last:K`, `channels(R)`, a published scheme by
  // name, rules by parameter, or a JSON file (docs/sparse_bp.md).
  std::string scheme = "full";
  std::string optimizer = "momentum";  // sgd | momentum | nesterov | adamw
  double momentum = 0.9;
  double weight_decay = 0.0;         // of weights
  bool decay_bias_and_norm = false;  // do biases, and scales and shifts of batch norms, decay too?
  double label_smoothing = 0.0;
  BatchNormMode batch_norm = BatchNormMode::kAuto;
  // Samples that run at a time; gradients are added up over the batch, which is a multiple of it.
  // 0: the whole batch, or, under a memory budget and where the step computes the same, what is
  // fastest. Where batch norm takes the batch's statistics, those of so many samples.
  int micro_batch = 0;
  // Bits an element of what the backward pass keeps, where rounding it changes gradients by as
  // little: 32 (all), 16 or 8. Under a memory budget as few may be taken, where that is fastest
  // (docs/memory.md).
  int saved_bits = 32;
  double clip_norm = 0.0;  // gradients are scaled down to this norm of all of them; 0: never
  std::vector<ParamGroupSpec> groups;
};

// What the plan runs on.
struct Target {
  // Concurrent work items that scratch is sized for: at most so many threads help. >= 1.
  int threads = 1;
  // auto | avx512 | avx2 | sse4 | neon; below the machine's: own kernels alone
  std::string isa = "auto";
  bool keep_order = false;  // do not reorder operators for memory (for comparison)
  // A schedule "predict" for one sample beside those for the batch, at which a prediction takes a
  // fraction of the time. It takes no byte of the arena, but tens of kilobytes of tables, in the
  // plan and in memory, and is left out where that would exceed `memory_bytes`.
  bool predicts_one = true;
  // The predicted peak may not exceed so many bytes; 0 for any. What does not fit in is made to,
  // at the least cost in time by the compiler's cost model (docs/memory.md).
  int64_t memory_bytes = 0;
  // Of a tensor the processor's caches hold so much: operators on larger ones run on parts of the
  // batch, one part after the other, where that saves memory traffic (docs/memory.md). > 0.
  int64_t cache_bytes = int64_t{4} << 20;
  // Kernels to prefer, or null for the backend's own order. INVALID_ARGUMENT where it was measured
  // at another instruction set or number of threads, or names a kernel that does not serve.
  const Tuning* tuning = nullptr;
};

// What a memory budget was met with. Costs are by the compiler's cost model, not measured.
struct MemoryTrade {
  int64_t budget_bytes = 0;        // 0: none was given
  int64_t fastest_peak_bytes = 0;  // predicted peak of the plan that would run without it
  int second_runs = 0;             // operators that run again instead of keeping their result
  int64_t recomputed_macs = 0;     // of theirs, per sample
  double extra_time = 0.0;         // 0.1: a step takes a tenth longer
  std::string given_up;            // all of this in one line; empty where nothing was given up
};

// What the compiler decided, exactly. MACs per sample, sizes in bytes.
struct PlanFigures {
  int64_t params = 0;
  int64_t trainable_params = 0;
  int64_t forward_macs = 0;
  int64_t backward_macs = 0;
  int64_t arena_bytes = 0;
  int64_t arena_lower_bound = 0;  // largest sum of live bytes over the steps
  int64_t param_bytes = 0;
  int64_t optimizer_bytes = 0;
  int64_t packed_bytes = 0;
  int64_t checkpoint_bytes = 0;  // values that a checkpoint holds
  int64_t predicted_peak_bytes = 0;
  bool batch_statistics = false;
  bool predicts_one = false;     // has the schedule "predict"
  int steps = 0;                 // of one training step
  int micro_batch = 0;           // samples that run at a time; 0: the whole batch
  int prefix_micro_batch = 0;    // the same of the layers before the first that learns
  int saved_bits = 32;           // of each element of
  int narrowed_activations = 0;  // so many that the backward pass keeps
  double step_cost_ms = 0.0;     // by the cost model: good for comparing plans of one model alone
  int64_t clip_norm_bytes = 0;   // what clipping adds to the predicted peak
  std::string scheme;            // what `auto` came to; else as asked
  MemoryTrade memory;
  double compile_ms = 0.0;
};

// A plan that was found for a model, of those that no other beats in both memory and time.
struct ParetoPoint {
  int64_t predicted_peak_bytes = 0;
  double step_cost_ms = 0.0;   // by the cost model
  int micro_batch = 0;         // samples at a time; 0: the whole batch
  int prefix_micro_batch = 0;  // of the layers before the first that learns
  int second_runs = 0;
  int saved_bits = 32;  // of saved activations
};

// One run of one pass.
struct PassTime {
  std::string pass;
  double ms = 0.0;
  int nodes_before = 0;
  int nodes_after = 0;
};

// A compiled plan, as the bytes of a .ptplan file.
struct Plan {
  std::string bytes;
  PlanFigures figures;
  std::vector<PassTime> passes;  // in order, of all schedules
  std::string memory_map_json;   // of the training schedule, for reports

  // Writes the file atomically. UNAVAILABLE where writing failed.
  Outcome<bool> Write(const std::string& path) const;
};

// Compiles the schedules "train" and "eval" for the model's batch size, and "predict" for one
// sample where that is another and the model does not mix samples. `metadata` is a JSON object
// of the caller's that the plan carries along; the compiler adds what it needs. Errors name the op
// and the tensor; OUT_OF_RANGE where no plan fits in Target::memory_bytes, with the smallest number
// that would do, which is the detail, too. Thread-safe.
Outcome<Plan> Compile(const Model& model, const TrainSpec& spec, const Target& target,
                      const std::string& metadata = "{}");

// The plans between which Compile chooses under a memory budget, smallest first; the target's own
// budget is not looked at. Errors as Compile.
Outcome<std::vector<ParetoPoint>> FindPareto(const Model& model, const TrainSpec& spec,
                                             const Target& target);

}  // namespace pocketune
