// What a training says at its end: accuracy, memory, the report and the JSON object.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "absl/status/status.h"
#include "apps/cli/common.h"
#include "apps/data/dataset.h"
#include "apps/data/dataset_source.h"
#include "apps/train/run_folder.h"
#include "apps/train/run_trainer.h"
#include "pocketune/session.h"

namespace pocketune::cli {

// A run whose training is done. Borrows everything.
struct TrainedRun {
  const RunSpec& spec;
  const CommonFlags& flags;
  const nlohmann::json& figures;  // of the compiler
  const TrainState& state;
  const RunTrainer& trainer;
  const data::Dataset& dataset;
  const RunFolder& folder;
  LoaderSize loader_size;
  double train_seconds = 0.0;
  std::vector<data::SkippedSample> skipped;  // of training and validation; they have been said
};

// Evaluates `session`, which has the weights that the run ends with, on the test split (else
// validation, else training), closes it, says the outcome and writes the report. Then the plan's
// memory is measured, which costs but its figures where it fails, and the JSON object is written.
// Errors carry exit codes.
absl::Status ReportTraining(const TrainedRun& run, std::unique_ptr<Session> session);

}  // namespace pocketune::cli
