// --weights NAME: weights from the cache folder or fetched into it, and what travels with them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/cli/common.h"
#include "apps/train/run_spec.h"

namespace pocketune::cli {

// Where spec.weights is no file and has no slash, it is a name of `pocketune weights list`: the
// path of its file takes the name's place, fetched unless spec.no_download. Pictures are
// then prepared as the weights' file says, unless `normalize_given`; a line says so. kIo where
// nothing can be fetched.
absl::Status TakeNamedWeights(RunSpec* spec, const CommonFlags& flags, bool normalize_given);

// The name of weights that are published for this model as it is asked for; empty where there are
// none.
std::string PublishedWeightsFor(const ModelSpec& model);

// The model of the zoo that the file holds, with its width, classes and inputs. kModel where it
// holds none, or is no such file.
absl::StatusOr<ModelSpec> ModelOfWeights(const std::string& path);

// The names of the classes that travel with the file; none where it has no names or another number
// of them than `classes`.
std::vector<std::string> ClassNamesOfWeights(const std::string& path, int classes);

}  // namespace pocketune::cli
