// Weights into and out of a model, under PyTorch's names and layouts.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "frontends/weights/weights_file.h"
#include "graph/ir/graph.h"
#include "pocketune/zoo.h"

namespace pocketune {

// A parameter's shape in PyTorch's files, as its layout says (types.h).
std::vector<int64_t> TorchShape(const Value& param);
// Values between PyTorch's layout and ours.
std::vector<float> FromTorch(const Value& param, const std::vector<float>& values);
std::vector<float> ToTorch(const Value& param, const std::vector<float>& values);

// In the graph's order.
std::vector<std::string> ParamNames(const Graph& graph);
// Trailing dimensions of size 1 do not count: a classifier may be stored as a 1x1 convolution.
bool SameShape(const Value& param, const WeightsEntry& entry);

// Sets the data of every parameter that the file has, under its name or with words before it
// (names.h). A classifier of another number of classes is left without data. Fails where a tensor
// of the model is missing, has another shape, or holds NaN, infinity or a variance below 0, naming
// the first of them and how many there are.
absl::Status LoadWeights(Graph& graph, const WeightsFile& file, WeightsReport* report);

}  // namespace pocketune
