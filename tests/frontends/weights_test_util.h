// What the tests of weights files share.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "frontends/initialize.h"
#include "frontends/weights/safetensors.h"
#include "frontends/weights/weights.h"
#include "frontends/zoo/zoo.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {

// In a folder of this process, which goes at its end.
inline std::string TempPath(const std::string& name) {
  static const TempFolder folder;
  return folder.File(name);
}

inline std::vector<SafetensorsTensor> TensorsOf(const Graph& graph) {
  std::vector<SafetensorsTensor> tensors;
  for (const Value& value : graph.values) {
    if (value.kind != ValueKind::kParam) continue;
    tensors.push_back({value.name, TorchShape(value), ToTorch(value, *value.data)});
  }
  return tensors;
}

inline Graph Initialized(const ModelSpec& spec, uint64_t seed) {
  absl::StatusOr<Graph> graph = BuildModel(spec);
  EXPECT_TRUE(graph.ok()) << graph.status();
  InitializeParams(*graph, seed);
  return *std::move(graph);
}

// The path of a file with these tensors.
inline std::string WriteTensors(const std::vector<SafetensorsTensor>& tensors) {
  const std::string path = TempPath("w.safetensors");
  EXPECT_TRUE(WriteSafetensors(path, tensors).ok());
  return path;
}

}  // namespace pocketune::test
