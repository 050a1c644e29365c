// Everything that decides the result of a training run: what spec.json holds.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/data/dataset.h"
#include "apps/data/transform.h"
#include "pocketune/compiler.h"
#include "pocketune/zoo.h"

namespace pocketune {

struct DataSpec {
  std::string path;
  double val_fraction = 0.1;
  double test_fraction = 0.2;
  int64_t max_train_per_class = 0;  // 0: all
  int64_t max_eval_per_class = 0;
  std::string normalize = "minus_one_one";
  std::string perturb;
  double flip = 0.0;
  int crop_padding = 0;
  std::string class_names;  // comma-separated, for numbered classes
};

struct RunSpec {
  ModelSpec model;
  std::string weights;
  bool no_download = false;   // of weights by name; not in spec.json
  bool from_scratch = false;  // begins with random weights on purpose; not in spec.json
  TrainSpec train;
  int64_t memory_bytes = 0;  // the plan's peak may not exceed; 0: any
  int64_t cache_bytes = Target().cache_bytes;
  DataSpec data;
  uint64_t seed = 1;
  double lr = 0.01;  // > 0, or left open, as warm-up and clipping may be: training_choice.h
  std::string lr_schedule = "cosine";
  int64_t warmup_steps = 0;
  int64_t lr_step_every = 0;  // epochs, for `step`
  double lr_gamma = 0.1;
  int64_t epochs = 10;
  int64_t steps = 0;             // > 0: stop after these, whatever the epochs
  int64_t patience = 0;          // epochs without gain on validation before stopping; 0: never
  std::string keep = "best";     // best | last: whose weights the run ends with
  int64_t checkpoint_every = 0;  // steps; 0: at the end of each epoch
};

nlohmann::json ToJson(const RunSpec& spec);
absl::StatusOr<RunSpec> RunSpecFromJson(const nlohmann::json& json);

// `known_classes`: those that a run learned (data/dataset.h); empty for data that a run begins
// with.
absl::StatusOr<std::unique_ptr<data::Dataset>> OpenDataset(
    const DataSpec& spec, uint64_t seed, const std::vector<std::string>& known_classes = {});
// The pipeline from a picture to the model's input; `train` adds the augmentation.
absl::StatusOr<data::Transform> MakeTransform(const DataSpec& spec, const Shape& image, bool train);

}  // namespace pocketune
