// The model of a run as it stands, for a plan that is compiled in the middle of the run.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "apps/train/run_spec.h"
#include "pocketune/zoo.h"

namespace pocketune::cli {

// The model that `spec` names, with what the run in `folder` has learned. Its own weights come from
// the run's plan or, where that cannot be read any more, from where the run had them. Nothing has
// been learned where nothing was saved. kCheckpoint where all checkpoints are damaged or the newest
// is of another model; other errors as LoadModel.
absl::StatusOr<ZooModel> LoadModelOfRun(const RunSpec& spec, const std::string& folder,
                                        WeightsReport* report);

}  // namespace pocketune::cli
