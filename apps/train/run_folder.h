// The folder of a training run: plan.ptplan, checkpoint-a and -b, spec.json, log.jsonl,
// report.html.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/train/run_spec.h"
#include "pocketune/checkpoint.h"
#include "pocketune/session.h"
#include "pocketune/train.h"

namespace pocketune {

// One process at a time trains in a folder; any number may read. All errors carry exit codes.
class RunFolder {
 public:
  // Creates the folder where it is not there, and locks it (kLocked where another process has it).
  // kUsage as CheckPlace.
  static absl::StatusOr<std::unique_ptr<RunFolder>> OpenToTrain(const std::string& path);
  // A folder that holds a run, to read; kCheckpoint where it holds none.
  static absl::StatusOr<std::unique_ptr<RunFolder>> OpenToRead(const std::string& path);

  const std::string& path() const { return path_; }
  std::string plan_path() const { return path_ + "/plan.ptplan"; }
  std::string report_path() const { return path_ + "/report.html"; }
  // While the run goes on, where memory does not do.
  std::string prefix_cache_path() const { return path_ + "/prefix-cache"; }
  bool has_plan() const { return HoldsRun(path_); }
  // Is there a run in this folder?
  static bool HoldsRun(const std::string& path);
  // May a run be written there? kUsage for a folder with files that are no run's; new and empty
  // folders will do, and those where a run was begun. Touches nothing.
  static absl::Status CheckPlace(const std::string& path);

  absl::Status WritePlan(const Plan& plan) const;
  // The same with a copy of the plan file `path`.
  absl::Status TakePlan(const std::string& path) const;
  // spec.json: the run's spec and, under "figures", what the compiler decided.
  absl::Status WriteSpec(const nlohmann::json& json) const;
  absl::StatusOr<nlohmann::json> ReadSpec() const;

  absl::Status Save(const Session& session, const std::string& state);
  // Restores the newest valid checkpoint. NotFound where nothing was saved yet; kCheckpoint where
  // all are damaged. A damaged one beside a good one is told in `warning` (may be null).
  // FailedPrecondition where the plan has to be compiled anew for it. `report` may be null.
  absl::Status Restore(Session& session, TrainState* state, std::vector<std::string>* class_names,
                       std::string* warning = nullptr, RestoreReport* report = nullptr);

  // The names of the classes in the newest valid checkpoint; empty where there is none.
  std::vector<std::string> ReadClassNames();

  // The same of the older checkpoint alone: NotFound or DataLoss where there is none to be had.
  absl::Status RestoreOlder(Session& session, TrainState* state);

  // The weights of the best epoch so far, beside the checkpoints.
  absl::Status SaveBest(const Session& session) const;
  absl::Status RestoreBest(Session& session) const;

  // Appends a line to log.jsonl, with the time of day. kIo where it cannot, which need not end a
  // run.
  absl::Status Log(const EpochEvent& event) const;
  // Epochs logged so far, each once, the latest line of it.
  std::vector<nlohmann::json> ReadLog() const;

 private:
  absl::Status ReadState(const std::string& user, TrainState* state) const;

  explicit RunFolder(std::string path) : path_(path), store_(std::move(path)) {}

  std::string path_;
  CheckpointStore store_;
  std::optional<RunLock> lock_;
};

// Where the files of a run are whose spec says `path`: runs made before paths were kept whole have
// them relative to where they were begun, which may be the current folder or the run's own place.
// `path` itself where it is neither.
std::string FindFromRun(const std::string& path, const std::string& run_folder);

// kData, with what to do about it, where the pictures of the run are no longer at `path`.
absl::Status CheckDataIsThere(const std::string& path, const std::string& run_folder);

}  // namespace pocketune
