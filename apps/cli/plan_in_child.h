// Compiling in a child process, so that what the compiler takes of memory ends with it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/cli/common.h"
#include "apps/cli/memory_bound.h"
#include "apps/data/dataset.h"
#include "apps/train/process_budget.h"
#include "apps/train/run_spec.h"
#include "pocketune/compiler.h"
#include "pocketune/zoo.h"

namespace pocketune::cli {

// A plan in a file, and what is to be said of it.
struct PlanOfChild {
  ModelSpec model;  // complete
  // Epochs, rate, warm-up and clipping, given or chosen, and a line that says what was chosen.
  int64_t epochs = 0;
  double lr = 0.0;
  int64_t warmup_steps = 0;
  double clip_norm = 0.0;
  std::string choice;
  PlanFigures figures;
  std::vector<std::string> weights_lines;  // what a weights file gave, if there is one
  std::string memory_map;                  // JSON, of the training schedule
  int64_t compiler_peak_bytes = 0;         // of the child's memory
  Division division;                       // of the bound
};

// Compiles what `spec` names, with what it leaves open chosen (training_choice.h), into the file
// `path`, whose metadata say all that `spec` does and the names of the data's classes. Under a
// bound the plan leaves room for what feeds it with `dataset`, which may be null. kBudget where
// nothing fits, with the smallest bound that would do. Other errors as of LoadModel, MakeTransform,
// CompileModel and RunInChild.
absl::StatusOr<PlanOfChild> CompileInChild(const RunSpec& spec, const CommonFlags& flags,
                                           const data::Dataset* dataset, const MemoryBound& bound,
                                           const std::string& path);

// The same for the run in the folder `run`, from where that stands (model_of_run.h).
absl::StatusOr<PlanOfChild> CompileRunInChild(const RunSpec& spec, const CommonFlags& flags,
                                              const data::Dataset* dataset,
                                              const MemoryBound& bound, const std::string& run,
                                              const std::string& path);

// The figures of a loaded model's plan of at most `plan_bytes` (0: any), which goes to the file
// `path` unless that is empty. kBudget where no plan is so small.
absl::StatusOr<PlanFigures> CompileSchemeInChild(const ZooModel& model, const RunSpec& spec,
                                                 const CommonFlags& flags, int64_t plan_bytes,
                                                 const std::string& path);

}  // namespace pocketune::cli
