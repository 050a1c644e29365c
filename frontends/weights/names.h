// A file's names against a model's: wrappers of training code put words before them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "frontends/weights/safetensors.h"

namespace pocketune {

// Which tensor of a file is which parameter of a model. Points into the file.
struct NameMatch {
  // What the file's names have more than the model's, with its dot ("module."); empty: nothing.
  std::string left_out;
  std::map<std::string, const SafetensorsEntry*> entries;  // by the model's names
};

// Names are taken as they are where all `wanted` ones are there. Else what stands before most of
// them, whatever it is ("model.", "state_dict.model.backbone."), is left out, and so are the words
// that PyTorch's DataParallel and compile put anywhere (module, _orig_mod), where more names are
// found thus. InvalidArgument where two sets of tensors of one file have all the names, such as a
// model and its running average.
absl::StatusOr<NameMatch> MatchNames(const std::vector<std::string>& wanted,
                                     const SafetensorsFile& file);

}  // namespace pocketune
