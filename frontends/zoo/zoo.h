// The model zoo: forward graphs written by hand, exact to the parameter and the MAC.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"
#include "pocketune/zoo.h"

namespace pocketune {

struct ZooEntry {
  const char* name;
  const char* summary;
  int height;
  int width;
  int channels;
  int classes;
  double default_width;  // 0: the model has no width
  bool square;           // takes --resolution
  Task task;
  // Builds the forward graph: input "image" f32[N,H,W,C], output "logits" f32[N,classes]. Batch
  // norm stands as batch_norm_frozen. Parameters carry names, roles and sections but no data.
  absl::StatusOr<Graph> (*build)(const ModelSpec& spec);
};

std::span<const ZooEntry> Zoo();
// The entry of that name; the error names the nearest one.
absl::StatusOr<const ZooEntry*> FindModel(const std::string& name);

// `spec` with the entry's defaults in place of zeros, and checked: sizes in [1, 4096], classes in
// [1, 100000], width in (0, 4], batch in [1, 4096].
absl::StatusOr<ModelSpec> Complete(ModelSpec spec);

// Builds the forward graph of a complete or incomplete spec.
absl::StatusOr<Graph> BuildModel(const ModelSpec& spec);

}  // namespace pocketune
