#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/ops/implied.h"
#include "frontends/weights/safetensors.h"
#include "frontends/weights/weights.h"
#include "graph/ir/outcome_bridge.h"
#include "pocketune/weights.h"

namespace pocketune {
namespace {

Outcome<bool> Bad(const NamedWeights& tensor, const std::string& fact) {
  return Outcome<bool>(StatusCode::kInvalidArgument,
                       absl::StrCat("weights: ", tensor.name, ": ", fact));
}

}  // namespace

Outcome<bool> WriteWeights(const std::string& path, std::vector<NamedWeights> weights,
                           const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsTensor> tensors;
  std::set<std::string> names;
  for (NamedWeights& tensor : weights) {
    if (!names.insert(tensor.name).second) return Bad(tensor, "another tensor has that name");
    if (!Suits(tensor.layout, tensor.shape.rank())) {
      return Bad(tensor, absl::StrCat("a filter has another number of dimensions (got ",
                                      tensor.shape.rank(), ")"));
    }
    if (static_cast<int64_t>(tensor.values.size()) != tensor.shape.elems()) {
      return Bad(tensor, absl::StrCat("values (got ", tensor.values.size(), ", want ",
                                      tensor.shape.elems(), ")"));
    }
    Value param;
    param.type.shape = tensor.shape;
    param.layout = tensor.layout;
    tensors.push_back({tensor.name, TorchShape(param), ToTorch(param, tensor.values)});
    tensor.values = {};  // one copy of all is enough
  }
  const absl::Status written = WriteSafetensors(path, tensors, metadata);
  return written.ok() ? Outcome<bool>(true) : ToOutcome<bool>(written);
}

}  // namespace pocketune
