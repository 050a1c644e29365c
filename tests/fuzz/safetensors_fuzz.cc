// Safetensors files. The input is the JSON header, a NUL and the data; the header's length is made
// to fit. (Damaged lengths: tests/frontends/weights_test.cc.)
#include <algorithm>

#include "frontends/weights/fit.h"
#include "frontends/weights/safetensors.h"
#include "frontends/weights/weights.h"
#include "tests/fuzz/fuzz_target.h"

namespace pocketune::fuzz {
namespace {

// A convolution of 5 filters over 2x3 pixels of 1 channel, and 2 classes.
Graph SmallModel() {
  Graph graph;
  graph.AddParam("conv.weight", {5, 2, 3, 1}, ParamRole::kWeight, nullptr, ParamLayout::kConv);
  graph.AddParam("classifier.weight", {2, 5}, ParamRole::kWeight, nullptr);
  graph.AddParam("classifier.bias", {2}, ParamRole::kBias, nullptr);
  for (Value& value : graph.values) {
    if (value.name[1] == 'l') value.section = Section::kClassifier;
  }
  return graph;
}

std::string FileOf(std::string_view input) {
  const size_t header = std::min(input.find('\0'), input.size());
  std::string file;
  for (int i = 0; i < 8; ++i) file.push_back(static_cast<char>(header >> (8 * i)));
  file.append(input.substr(0, header));
  return header < input.size() ? file.append(input.substr(header + 1)) : file;
}

std::string Seed(const std::string& header, size_t data_bytes) {
  std::string seed = header;
  seed.push_back('\0');
  for (size_t i = 0; i < data_bytes; ++i) seed.push_back(static_cast<char>(i * 7));
  return seed;
}

}  // namespace

std::vector<std::string> Seeds() {
  return {Seed(R"({"__metadata__":{"format":"pt"},)"
               R"("conv.weight":{"dtype":"F32","shape":[5,1,2,3],"data_offsets":[0,120]},)"
               R"("classifier.weight":{"dtype":"F32","shape":[2,5],"data_offsets":[120,160]},)"
               R"("classifier.bias":{"dtype":"F32","shape":[2],"data_offsets":[160,168]}})",
               168),
          Seed(R"({"conv.weight":{"dtype":"F64","shape":[5,1,2,3],"data_offsets":[0,240]},)"
               R"("classifier.weight":{"dtype":"F16","shape":[3,5,1],"data_offsets":[240,270]},)"
               R"("classifier.bias":{"dtype":"BF16","shape":[3],"data_offsets":[270,276]},)"
               R"("conv.norm.num_batches_tracked":)"
               R"({"dtype":"I64","shape":[],"data_offsets":[276,284]}})",
               284)};
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  const MemoryFile memory(FileOf(View(data, size)));
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(memory.path());
  RequireGoodError(file.status());
  if (!file.ok()) return 0;
  for (const WeightsEntry& entry : file->entries()) {
    const absl::StatusOr<std::vector<float>> values = file->Read(entry);
    RequireGoodError(values.status());
    int64_t elems = 1;
    for (const int64_t dim : entry.shape) elems *= dim;
    Require(!values.ok() || static_cast<int64_t>(values->size()) == elems,
            "a tensor has the elements of its shape");
  }
  Require(HasFoldedNorm({.name = "small-cnn"}, *file).ok(), "any file may be asked");
  Graph graph = SmallModel();
  WeightsReport report;
  RequireGoodError(LoadWeights(graph, *file, &report));
  for (const std::string& line : report.Lines()) RequireOneLine(line);
  for (const Value& value : graph.values) {
    Require(value.data == nullptr ||
                static_cast<int64_t>(value.data->size()) == value.type.shape.elems(),
            "a loaded parameter is whole");
  }
  Accept();
  return 0;
}
