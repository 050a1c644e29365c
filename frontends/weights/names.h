// A file's names against a model's: wrappers of training code put words before them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "frontends/weights/naming.h"
#include "frontends/weights/weights_file.h"

namespace pocketune {

// Which tensor of a file is which parameter of a model. Points into the file.
struct NameMatch {
  // What the file's names have more than the model's, with its dot ("module."); empty: nothing.
  std::string left_out;
  std::map<std::string, const WeightsEntry*> entries;  // by the model's names
  const Naming* naming = nullptr;  // whose names the file has; null: the model's own
};

// Names are taken as they are where all `wanted` ones are there. Else what stands before most of
// them, whatever it is ("model.", "state_dict.model.backbone."), is left out, and so are the words
// that PyTorch's DataParallel and compile put anywhere (module, _orig_mod), where more names are
// found thus. Where the model's names are still not all there and another library's for the same
// layers (naming.h) find more, these are taken. InvalidArgument where two sets of tensors of one
// file have all the names, such as a model and its running average.
absl::StatusOr<NameMatch> MatchNames(const std::vector<std::string>& wanted,
                                     const WeightsFile& file);

}  // namespace pocketune
