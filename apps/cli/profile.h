// Where the time of a training step goes, op by op: tables, JSON, and a trace for Chrome's viewer.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/cpu/cpu_peak.h"
#include "pocketune/session.h"

namespace pocketune::cli {

// An op of the training schedule and what one execution of it has to do.
struct ProfiledOp {
  int index = 0;  // in the order of execution
  std::string op;
  std::string kernel;
  std::string phase;  // "fwd", "bwd", "upd"
  std::string loc;
  std::vector<std::string> operands;  // types, "f32[8,28,28,1]"
  std::vector<std::string> results;
  int64_t flop = 0;   // of convolutions and linear layers; a multiply-accumulate is two
  int64_t bytes = 0;  // each operand read once, each result that is read written once
  double ms = 0;      // median over the steps
};

// What a plan for so many threads could reach at the current instruction set. Call it before the
// plan's session is opened. kLocked where memory does not do.
absl::StatusOr<CpuPeak> PeakOfMachine(int threads);

class StepProfile {
 public:
  // Of the plan's schedule "train". kModel where the file is no plan, or has none.
  static absl::StatusOr<StepProfile> Of(const std::string& plan_path, const CpuPeak& peak);

  // Takes up what the session's last TrainStep took; `step_ms` is the time around the call.
  void Add(const Session& session, double step_ms);
  // After the last Add: works out the medians.
  void Finish();

  // Two tables: the `top` slowest ops (0: all), and all ops by kernel.
  std::vector<std::string> Lines(int top) const;
  nlohmann::json ToJson() const;
  // Trace events of the step whose time is nearest to the median. kIo where writing failed.
  absl::Status WriteTrace(const std::string& path) const;

 private:
  struct Time {
    int64_t begin_ns;
    int64_t nanoseconds;
  };
  StepProfile(std::vector<ProfiledOp> ops, const CpuPeak& peak)
      : ops_(std::move(ops)), peak_(peak) {}
  std::vector<const ProfiledOp*> BySlowness() const;

  std::vector<ProfiledOp> ops_;  // in the order of execution
  CpuPeak peak_;
  std::vector<std::vector<Time>> times_;  // per step, per op
  std::vector<double> step_ms_;
  double ops_ms_ = 0;  // sum of the ops' medians
};

}  // namespace pocketune::cli
