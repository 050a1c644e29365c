// What `eval`, `infer`, `inspect` and `export` look at: a run folder, a plan or a model of the zoo,
// told apart by content.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/cli/common.h"
#include "apps/cli/given_flags.h"
#include "apps/cli/memory_bound.h"
#include "apps/train/run_folder.h"
#include "pocketune/session.h"
#include "pocketune/train.h"

namespace pocketune::cli {

// A session ready to use, with what is needed to feed it.
struct OpenedTarget {
  std::unique_ptr<Session> session;
  RunSpec spec;                             // data preprocessing and model
  std::vector<std::string> class_names;     // may be empty for a model without a run
  GivenWeights given = GivenWeights::kAll;  // what had other than random values before training
  TrainState state;
  std::string data_fingerprint;  // of a run's pictures (FingerprintOf); empty: not known
  std::string name;              // as it was asked for
  std::string what;              // "run", "plan" or "model"
  std::string plan_path;
  LoaderSize loader_size = 1;  // of what feeds the session
};

// What a target is opened for.
struct TargetFeed {
  MemoryBound bound;  // of this process
  // Adds what the pictures to come take of memory, prepared by `transform`; `of_plan` is what the
  // plan was made for. Called under a bound alone.
  std::function<absl::Status(const RunSpec& of_plan, const data::Transform& transform,
                             FeedDemand* demand)>
      add_demand;
};

// A session on the plan file, with the kernels of this machine; kModel for a plan that is none.
absl::StatusOr<std::unique_ptr<Session>> OpenPlan(const std::string& path, int threads,
                                                  uint64_t seed);

// `path` is a run folder or a plan file, or the name of a model that is compiled on the spot with
// `spec`'s flags. A run is restored to its newest valid checkpoint (kCheckpoint where all are
// damaged); warnings go to Say. kUsage for a file of a run's folder: its plan holds the weights
// from before the training. kBudget for a plan that does not fit in the bound beside what feeds it,
// with the smallest that would do; nothing was allocated then.
absl::StatusOr<OpenedTarget> OpenTarget(const std::string& path, const RunSpec& spec,
                                        const CommonFlags& flags, const TargetFeed& feed = {});

// kUsage for a flag that asks for another model than a run or a plan is of.
absl::Status CheckModelFlags(const OpenedTarget& target, const RunSpec& asked,
                             const GivenFlags& given);

// An error where the answers mean nothing, because the model or its classifier has random weights:
// kUsage for a model without --weights, kModel for a plan or weights that lack them. Warns of a run
// that has kept no step of its training.
absl::Status CheckAnswers(const OpenedTarget& target, const CommonFlags& flags);

// What of a plan's weights was given, by its metadata; `spec` for plans from before they said it.
GivenWeights GivenOf(const nlohmann::json& metadata, const RunSpec& spec);

// The names of the classes in the metadata of a plan; empty where it has none.
std::vector<std::string> ClassNamesOf(std::string_view metadata);

// The names that travel with the weights of a model that has all of them; empty where none do.
std::vector<std::string> ClassNamesOf(const ZooModel& model, const RunSpec& spec);

// Dataset::Fingerprint as spec.json has it.
std::string FingerprintOf(const data::Dataset& dataset);

// The pictures that `spec` names. Sets its number of classes where it has none, and a batch of all
// pictures where there are fewer; says what was found. kUsage for fewer classes than the data has.
// `known_classes`: those of a run that is continued (data/dataset.h).
absl::StatusOr<std::unique_ptr<data::Dataset>> OpenRunData(
    RunSpec* spec, const CommonFlags& flags, const std::vector<std::string>& known_classes = {});

// The model that `spec` names, with its weights, for as many classes as they are where `spec` has
// none: kUsage for a name or sizes that cannot be, kModel for weights that do not fit. `report` may
// be null.
absl::StatusOr<ZooModel> LoadModel(const RunSpec& spec, WeightsReport* report);

// Compiles that model; the plan carries the spec and the names along.
absl::StatusOr<Plan> CompileSpec(const RunSpec& spec, const CommonFlags& flags,
                                 WeightsReport* report);
// Compiles a loaded model for a peak of at most `plan_bytes` (0: any); the plan's metadata says all
// that `spec` does, and the classes' names. kBudget where no plan is so small; `smallest` then is
// what the smallest takes (may be null).
absl::StatusOr<Plan> CompileModel(const ZooModel& model, RunSpec spec, const CommonFlags& flags,
                                  const std::vector<std::string>& class_names, int64_t plan_bytes,
                                  int64_t* smallest = nullptr);

// A file in the temporary folder that is removed at the end of the scope. Its name is nobody's
// guess, it is this user's alone, and it is there, empty, from the start; in a folder that takes no
// file it is not, and writing to it fails.
class TempFile {
 public:
  explicit TempFile(const std::string& suffix);
  ~TempFile();
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace pocketune::cli
