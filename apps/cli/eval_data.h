// Which pictures `eval` judges.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "apps/cli/given_flags.h"
#include "apps/cli/target.h"

namespace pocketune::cli {

struct JudgedData {
  std::unique_ptr<data::Dataset> dataset;
  DataSpec spec;  // how its pictures are prepared
  data::Split split = data::Split::kTest;
  std::string what;  // "train", "val", "test", or "all" for data that name no splits
};

// The data of a run, split as the run split them, or others: `asked`, of which `given` says what
// was asked for indeed. Of a run's data the test split is judged, of others that name no splits all
// pictures, unless fractions or a split are given; where there is no test split, and none was asked
// for, validation, else training. Classes are matched by name to those that the target knows, and
// may be missing. What is judged is said.
//
// Errors: kUsage for a flag that cannot be obeyed (the run's own data are split already, pictures
// are prepared as for the training); kData for classes that the target does not know, and for a
// split that is not there.
absl::StatusOr<JudgedData> OpenJudgedData(const OpenedTarget& target, const RunSpec& asked,
                                          const std::string& split, const GivenFlags& given,
                                          const CommonFlags& flags);

}  // namespace pocketune::cli
