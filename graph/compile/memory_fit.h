// Chooses among plans of one training graph: the fastest that fits in a number of bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"
#include "graph/lower/plan_writer.h"
#include "graph/passes/pass.h"
#include "pocketune/compiler.h"

namespace pocketune {

// How many slices of the batch run one behind the other: of all, and of the layers before the first
// that learns.
struct Slicing {
  int batch = 1;
  int prefix = 1;
  friend bool operator==(const Slicing& a, const Slicing& b) {
    return a.batch == b.batch && a.prefix == b.prefix;
  }
};

// A planned training graph and what it takes.
struct TrainPlan {
  Graph train;                     // stage kPlanned
  size_t eval = 0;                 // which schedule for evaluation goes with it
  bool predicts = false;           // the schedule for one sample goes with it, too
  std::vector<PassRecord> passes;  // that led from kOptimized there
  PlanSizes sizes;
  double step_ns = 0.0;  // by step_cost.h
  int second_runs = 0;   // nodes that rematerialize has added
  int64_t recomputed_macs = 0;
  Slicing slicing;
  int saved_bits = kAllBits;  // see Training
  int narrowed = 0;
};

// The plan for a number of bytes that rematerialize is to stay under, or kNoLiveTarget.
using MakeTrainPlan = std::function<absl::StatusOr<TrainPlan>(int64_t live_target_bytes)>;

// The plans considered are the fastest and rungs below it, each with about a tenth less alive than
// the one before, as low as rematerialization leads; they do not depend on any budget. Where a
// rung fits, plans between the rungs are tried too. Makes plans when they are asked for.
class MemoryFit {
 public:
  // `optimized`: stage kOptimized, of which `make` makes plans, `fastest` without a target.
  MemoryFit(const Graph& optimized, TrainPlan fastest, MakeTrainPlan make);

  const TrainPlan& fastest() const { return fastest_; }

  // The fastest plan whose predicted peak is at most `budget_bytes`; nothing where none of the
  // rungs has one, and then `*smallest_bytes` is the smallest peak of them: just enough. Errors:
  // those of `make`.
  absl::StatusOr<std::optional<TrainPlan>> Within(int64_t budget_bytes, int64_t* smallest_bytes);

  // The fastest plan and one for each rung, largest first. Errors: those of `make`.
  absl::StatusOr<std::vector<TrainPlan>> All();

 private:
  struct Rung {
    int64_t target_bytes;
    int64_t live_bytes;  // that were reached
  };
  void FindRungs();
  // Offers the plan for a target to `best` where it fits. Its predicted peak, or an error.
  absl::StatusOr<int64_t> Offer(int64_t target_bytes, int64_t budget_bytes,
                                std::optional<TrainPlan>* best) const;

  const Graph& optimized_;
  const TrainPlan fastest_;
  const MakeTrainPlan make_;
  const int64_t fixed_bytes_;  // of the fastest plan's peak, all but what is alive at once
  std::vector<Rung> rungs_;    // falling in live_bytes
};

}  // namespace pocketune
