// What a training says at its end: accuracy, memory, the report and the JSON object.
#pragma once

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "apps/cli/common.h"
#include "apps/data/dataset.h"
#include "apps/train/run_folder.h"
#include "apps/train/trainer.h"
#include "pocketune/session.h"

namespace pocketune::cli {

// A run whose training is done. Borrows everything.
struct TrainedRun {
  const RunSpec& spec;
  const CommonFlags& flags;
  const nlohmann::json& figures;  // of the compiler
  const TrainState& state;
  const Trainer& trainer;
  const data::Dataset& dataset;
  const RunFolder& folder;
  Session& session;  // with the weights that the run ends with
  double train_seconds = 0.0;
  int64_t skipped = 0;  // pictures left out
};

// Evaluates on the test split (else validation, else training), measures the plan's memory, writes
// the report, says the outcome and writes the JSON object. Errors carry exit codes.
absl::Status ReportTraining(const TrainedRun& run);

}  // namespace pocketune::cli
